"""Omniglot, `finn17` 5-way 1-shot, learnt optimizer (LSTM) on Finn's Conv4.

    python experiments/omniglot_lstm_optimizer.py --out runs/omniglot_lstm_optimizer

The paper gives no number for Omniglot. Rates are for the mean over the
support. Batch norm takes the statistics of the batch at hand: the result is transductive.
"""

from omniglot import FEW_TASKS, ON_FINN, Experiment

LSTM_OPTIMIZER = Experiment(
    "lstm-optimizer",
    None,
    options={"way": 5, "lr": 0.5, "steps": 3},
    **ON_FINN | FEW_TASKS | {"steps": 500},
)

if __name__ == "__main__":
    LSTM_OPTIMIZER.main(__doc__)
