"""Weights from elsewhere: from a file, from the hub, or from a package of the index."""

from medshot.pretraining.weights.described import load_described as load_described
from medshot.pretraining.weights.fit import load_weights as load_weights
from medshot.pretraining.weights.hub import from_hub as from_hub
from medshot.pretraining.weights.package import PACKAGES as PACKAGES
from medshot.pretraining.weights.package import from_package as from_package
from medshot.pretraining.weights.read import READERS as READERS
