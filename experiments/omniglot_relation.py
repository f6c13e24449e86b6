"""Omniglot, `snell17` 5-way 1-shot, relation network on Conv4.

    python experiments/omniglot_relation.py --out runs/omniglot_relation

Published (Sung et al. 2018): 99.6 %. That number was not
checked against the paper's text. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import ON_SNELL, Experiment

RELATION = Experiment(
    "relation", 0.996, encoder={"norm": "batch", "halvings": 2}, checked=False, **ON_SNELL
)

if __name__ == "__main__":
    RELATION.main(__doc__)
