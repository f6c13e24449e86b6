"""Omniglot, `snell17` 5-way 1-shot, matching network on Conv4.

    python experiments/omniglot_matching.py --out runs/omniglot_matching

Published (Vinyals et al. 2016): 98.1 %. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import ON_SNELL, Experiment

MATCHING = Experiment("matching", 0.981, options={"scale": 30.0}, **ON_SNELL)

if __name__ == "__main__":
    MATCHING.main(__doc__)
