"""Omniglot, `finn17` 5-way 1-shot, MAML++ on Finn's Conv4.

    python experiments/omniglot_mamlpp.py --out runs/omniglot_mamlpp

Published (Antoniou et al. 2019): 99.47 %. That number was not
checked against the paper's text. Rates are for the mean over the
support. Batch norm takes the statistics of the batch at hand: the result is transductive.
"""

from omniglot import FEW_TASKS, ON_FINN, Experiment

MAMLPP = Experiment(
    "maml++",
    0.9947,
    options={"way": 5, "lr": 0.5, "steps": 3},
    checked=False,
    **ON_FINN | FEW_TASKS | {"steps": 5000, "query": 5},
)

if __name__ == "__main__":
    MAMLPP.main(__doc__)
