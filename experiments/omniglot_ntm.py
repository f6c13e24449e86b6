"""Omniglot, `snell17` 5-way 1-shot, neural Turing machine on Conv4.

    python experiments/omniglot_ntm.py --out runs/omniglot_ntm

The paper gives no number for this protocol. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import ON_SNELL, Experiment

NTM = Experiment("ntm", None, **ON_SNELL)

if __name__ == "__main__":
    NTM.main(__doc__)
