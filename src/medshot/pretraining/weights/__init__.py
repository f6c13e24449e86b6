"""Pretrained weights from a file, from the Hugging Face hub, or from a Python package."""

from medshot.pretraining.weights.download import PACKAGES as PACKAGES
from medshot.pretraining.weights.download import from_hub as from_hub
from medshot.pretraining.weights.download import from_package as from_package
from medshot.pretraining.weights.load import READERS as READERS
from medshot.pretraining.weights.load import load_described as load_described
from medshot.pretraining.weights.load import load_weights as load_weights
