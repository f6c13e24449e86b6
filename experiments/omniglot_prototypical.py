"""Omniglot, `snell17` 5-way 1-shot, prototypical network on Conv4.

    python experiments/omniglot_prototypical.py --out runs/omniglot_prototypical

Published (Snell et al. 2017, table 1): 98.8 %. 60-way 1-shot episodes as in the paper. The paper
chooses the number of steps on the validation classes and then trains again on both; so do we:
settings from runs on the training classes (docs/log.md), then `steps` on both, the last weights
taken. Where we differ: images are shifted by up to 2 pixels in meta-training.
"""

from omniglot import FAST, Experiment

PROTOTYPICAL = Experiment(
    "prototypical", 0.988, part="trainval", way=60, steps=7000, shift=2, training=FAST
)

if __name__ == "__main__":
    PROTOTYPICAL.main(__doc__)
