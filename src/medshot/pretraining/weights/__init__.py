"""Weights from elsewhere: from a file, or from the hub."""

from medshot.pretraining.weights.described import load_described as load_described
from medshot.pretraining.weights.fit import load_weights as load_weights
from medshot.pretraining.weights.hub import from_hub as from_hub
from medshot.pretraining.weights.read import READERS as READERS
