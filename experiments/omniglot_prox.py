"""Omniglot, `finn17` 5-way 1-shot, minibatch proximal update on Finn's Conv4.

    python experiments/omniglot_prox.py --out runs/omniglot_prox

No published number for Omniglot is known to us. Rates are for the mean over the
support. Ten images a class to learn from, in five batches, one an inner step. Batch norm takes the
statistics of the batch at hand: the result is transductive.
"""

from omniglot import FEW_TASKS, ON_FINN, Experiment

PROX = Experiment(
    "prox",
    None,
    options={"way": 5, "lr": 0.4, "steps": 5, "test_steps": 10, "pull": 0.1},
    **ON_FINN | FEW_TASKS | {"query": 9, "steps": 5000},
)

if __name__ == "__main__":
    PROX.main(__doc__)
