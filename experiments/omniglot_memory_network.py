"""Omniglot, `snell17` 5-way 1-shot, end-to-end memory network on Conv4.

    python experiments/omniglot_memory_network.py --out runs/omniglot_memory_network

The paper gives no number for this protocol. Meta-trained on 20-way 1-shot
episodes with images shifted by up to 2 pixels, as all of these experiments.
"""

from omniglot import ON_SNELL, Experiment

MEMORY_NETWORK = Experiment("memory-network", None, options={"strength": 20.0}, **ON_SNELL)

if __name__ == "__main__":
    MEMORY_NETWORK.main(__doc__)
