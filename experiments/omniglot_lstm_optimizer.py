"""Omniglot, `finn17` 5-way 1-shot, learnt optimizer (LSTM) on Finn's Conv4.

    python experiments/omniglot_lstm_optimizer.py --out runs/omniglot_lstm_optimizer

The paper gives no number for Omniglot. Rates are for the mean over the
support. Batch norm takes the statistics of the batch at hand: the result is transductive.
"""

from omniglot import FINN, FINN_CONV4, Experiment

LSTM_OPTIMIZER = Experiment(
    "lstm-optimizer",
    None,
    protocol=FINN,
    encoder=FINN_CONV4,
    options={"way": 5, "lr": 0.5, "steps": 3},
    way=5,
    query=1,
    steps=2000,
    training={"meta_batch": 16},
)

if __name__ == "__main__":
    LSTM_OPTIMIZER.main(__doc__)
