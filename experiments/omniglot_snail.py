"""Omniglot, `snell17` 5-way 1-shot, SNAIL on Conv4.

    python experiments/omniglot_snail.py --out runs/omniglot_snail

Published (Mishra et al. 2018): 99.07 %. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import ON_SNELL, Experiment

SNAIL = Experiment("snail", 0.9907, **ON_SNELL)

if __name__ == "__main__":
    SNAIL.main(__doc__)
