"""Omniglot, `finn17` 5-way 1-shot, Meta-SGD on Finn's Conv4.

    python experiments/omniglot_meta_sgd.py --out runs/omniglot_meta_sgd

Published (Li et al. 2017): 99.53 %. That number was not
checked against the paper's text. Rates are for the mean over the
support. Batch norm takes the statistics of the batch at hand: the result is transductive.
"""

from omniglot import FEW_TASKS, ON_FINN, Experiment

META_SGD = Experiment(
    "meta-sgd",
    0.9953,
    options={"way": 5, "lr": 0.5, "steps": 1},
    checked=False,
    **ON_FINN | FEW_TASKS | {"steps": 12000, "query": 5},
)

if __name__ == "__main__":
    META_SGD.main(__doc__)
