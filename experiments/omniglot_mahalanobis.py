"""Omniglot, `snell17` 5-way 1-shot, Mahalanobis distances with a learnt covariance on Conv4.

    python experiments/omniglot_mahalanobis.py --out runs/omniglot_mahalanobis

The paper gives no number for this protocol. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import ON_SNELL, Experiment

MAHALANOBIS = Experiment("mahalanobis", None, **ON_SNELL)

if __name__ == "__main__":
    MAHALANOBIS.main(__doc__)
