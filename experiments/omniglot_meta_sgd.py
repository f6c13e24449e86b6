"""Omniglot, `finn17` 5-way 1-shot, Meta-SGD on Finn's Conv4.

    python experiments/omniglot_meta_sgd.py --out runs/omniglot_meta_sgd

Published (Li et al. 2017): 99.53 %. That number was not
checked against the paper's text. Rates are for the mean over the
support. Batch norm takes the statistics of the batch at hand: the result is transductive.
"""

from omniglot import FINN, FINN_CONV4, Experiment

META_SGD = Experiment(
    "meta-sgd",
    0.9953,
    protocol=FINN,
    encoder=FINN_CONV4,
    options={"way": 5, "lr": 0.5, "steps": 1},
    way=5,
    query=1,
    steps=2000,
    training={"meta_batch": 16},
    checked=False,
)

if __name__ == "__main__":
    META_SGD.main(__doc__)
