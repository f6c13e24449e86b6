"""Omniglot, `finn17` 5-way 1-shot, learnt optimizer (perceptron) on Finn's Conv4.

    python experiments/omniglot_mlp_optimizer.py --out runs/omniglot_mlp_optimizer

The paper gives no number for Omniglot. Rates are for the mean over the
support. Batch norm takes the statistics of the batch at hand: the result is transductive.
"""

from omniglot import FEW_TASKS, ON_FINN, Experiment

MLP_OPTIMIZER = Experiment(
    "mlp-optimizer",
    None,
    options={"way": 5, "lr": 0.5, "steps": 3},
    **ON_FINN | FEW_TASKS | {"steps": 500},
)

if __name__ == "__main__":
    MLP_OPTIMIZER.main(__doc__)
