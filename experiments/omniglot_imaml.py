"""Omniglot, `finn17` 5-way 1-shot, implicit MAML on Finn's Conv4.

    python experiments/omniglot_imaml.py --out runs/omniglot_imaml

Published (Rajeswaran et al. 2019, gradient descent): 99.16 %. That number was not
checked against the paper's text. Rates are for the mean over the
support. Batch norm takes the statistics of the batch at hand: the result is transductive.
"""

from omniglot import FEW_TASKS, ON_FINN, Experiment

IMAML = Experiment(
    "imaml",
    0.9916,
    options={"way": 5, "lr": 0.5, "steps": 5, "pull": 0.5, "damping": 22.0},
    checked=False,
    **ON_FINN | FEW_TASKS | {"steps": 2500, "query": 5},
)

if __name__ == "__main__":
    IMAML.main(__doc__)
