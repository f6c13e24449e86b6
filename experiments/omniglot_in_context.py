"""Omniglot, `snell17` 5-way 1-shot, in-context set transformer on Conv4.

    python experiments/omniglot_in_context.py --out runs/omniglot_in_context

The paper gives no number for this protocol. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import ON_SNELL, Experiment

IN_CONTEXT = Experiment("in-context", None, **ON_SNELL)

if __name__ == "__main__":
    IN_CONTEXT.main(__doc__)
