"""Omniglot, `snell17` 5-way 1-shot, matching network with full context embeddings on Conv4.

    python experiments/omniglot_matching_fce.py --out runs/omniglot_matching_fce

Published (Vinyals et al. 2016, with full context embeddings): 98.1 %. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import ON_SNELL, Experiment

MATCHING_FCE = Experiment("matching-fce", 0.981, **ON_SNELL)

if __name__ == "__main__":
    MATCHING_FCE.main(__doc__)
