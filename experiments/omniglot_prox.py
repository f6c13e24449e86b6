"""Omniglot, `finn17` 5-way 1-shot, minibatch proximal update on Finn's Conv4.

    python experiments/omniglot_prox.py --out runs/omniglot_prox

No published number for Omniglot is known to us. Rates are for the mean over the
support. Batch norm takes the statistics of the batch at hand: the result is transductive.
"""

from omniglot import FINN, FINN_CONV4, Experiment

PROX = Experiment(
    "prox",
    None,
    protocol=FINN,
    encoder=FINN_CONV4,
    options={"way": 5},
    way=5,
    query=1,
    steps=2000,
    training={"meta_batch": 16},
)

if __name__ == "__main__":
    PROX.main(__doc__)
