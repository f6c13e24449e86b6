"""Omniglot, `snell17` 5-way 1-shot, modulated encoder (FiLM) on Conv4.

    python experiments/omniglot_film.py --out runs/omniglot_film

The paper gives no number for this protocol. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import ON_SNELL, Experiment

FILM = Experiment("film", None, **ON_SNELL)

if __name__ == "__main__":
    FILM.main(__doc__)
