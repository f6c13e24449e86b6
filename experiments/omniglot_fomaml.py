"""Omniglot, `finn17` 5-way 1-shot, first-order MAML on Finn's Conv4.

    python experiments/omniglot_fomaml.py --out runs/omniglot_fomaml

Published (Finn et al. 2017): 98.3 %. That number was not
checked against the paper's text. Rates are for the mean over the
support. Batch norm takes the statistics of the batch at hand: the result is transductive.
"""

from omniglot import FEW_TASKS, ON_FINN, Experiment

FOMAML = Experiment(
    "fomaml",
    0.983,
    options={"way": 5, "lr": 0.4, "steps": 3},
    checked=False,
    **ON_FINN | FEW_TASKS | {"steps": 8000, "query": 5},
)

if __name__ == "__main__":
    FOMAML.main(__doc__)
