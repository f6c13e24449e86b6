"""Omniglot, `finn17` 5-way 1-shot, meta-gradient descent on Finn's Conv4.

    python experiments/omniglot_meta_gradient.py --out runs/omniglot_meta_gradient

The papers give no number for this protocol. Rates are for the mean over the
support. Batch norm takes the statistics of the batch at hand: the result is transductive.
"""

from omniglot import FEW_TASKS, ON_FINN, Experiment

META_GRADIENT = Experiment(
    "meta-gradient",
    None,
    options={"way": 5, "lr": 0.5, "steps": 3},
    **ON_FINN | FEW_TASKS | {"steps": 4000, "query": 5},
)

if __name__ == "__main__":
    META_GRADIENT.main(__doc__)
