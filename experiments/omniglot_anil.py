"""Omniglot, `finn17` 5-way 1-shot, ANIL on Finn's Conv4.

    python experiments/omniglot_anil.py --out runs/omniglot_anil

The paper gives 20-way numbers only. Rates are for the mean over the
support. Batch norm takes the statistics of the batch at hand: the result is transductive.
"""

from omniglot import ON_FINN, Experiment

ANIL = Experiment(
    "anil", None, options={"way": 5, "lr": 0.5, "steps": 5}, **ON_FINN | {"steps": 8000}
)

if __name__ == "__main__":
    ANIL.main(__doc__)
