"""Omniglot, `finn17` 5-way 1-shot, Reptile on Finn's Conv4.

    python experiments/omniglot_reptile.py --out runs/omniglot_reptile

Published (Nichol et al. 2018, transductive): 97.68 %. That number was not
checked against the paper's text. Rates are for the mean over the
support. Ten images a class to learn from, in five batches, one an inner step. Batch norm takes the
statistics of the batch at hand: the result is transductive.
"""

from omniglot import FEW_TASKS, ON_FINN, Experiment

REPTILE = Experiment(
    "reptile",
    0.9768,
    options={"way": 5, "lr": 0.4, "steps": 5, "test_steps": 10},
    checked=False,
    **ON_FINN | FEW_TASKS | {"query": 9, "steps": 5000},
)

if __name__ == "__main__":
    REPTILE.main(__doc__)
