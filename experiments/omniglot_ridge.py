"""Omniglot, `snell17` 5-way 1-shot, ridge regression (R2-D2) on Conv4.

    python experiments/omniglot_ridge.py --out runs/omniglot_ridge

Published (Bertinetto et al. 2019): 98.9 %. That number was not
checked against the paper's text. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import ON_SNELL, Experiment

RIDGE = Experiment("ridge", 0.989, checked=False, **ON_SNELL)

if __name__ == "__main__":
    RIDGE.main(__doc__)
