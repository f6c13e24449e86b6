"""Omniglot, `snell17` 5-way 1-shot, contrastive meta-learning network on Conv4.

    python experiments/omniglot_contrastive.py --out runs/omniglot_contrastive

The paper gives no number for this protocol. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import ON_SNELL, Experiment

CONTRASTIVE = Experiment("contrastive", None, **ON_SNELL)

if __name__ == "__main__":
    CONTRASTIVE.main(__doc__)
