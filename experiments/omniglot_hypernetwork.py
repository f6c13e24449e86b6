"""Omniglot, `snell17` 5-way 1-shot, hypernetwork on Conv4.

    python experiments/omniglot_hypernetwork.py --out runs/omniglot_hypernetwork

The paper gives no number for this protocol. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import ON_SNELL, Experiment

HYPERNETWORK = Experiment("hypernetwork", None, **ON_SNELL)

if __name__ == "__main__":
    HYPERNETWORK.main(__doc__)
