"""Biases and normalisation."""

from collections.abc import Iterator, Sequence

from torch import nn

from medshot.finetuning.way import Move, Way
from medshot.nn.layers import NORMS


class Bias(Way):
    """Every bias moves, and every scale of a normalisation layer.

    Source: Ben Zaken et al. 2022, arXiv:2106.10199 (BitFit).

    Where we differ: theirs are the biases alone, those of normalisation among them; here the
    scales beside these move too.
    """

    name = "bias"
    source = "Ben Zaken et al. 2022, arXiv:2106.10199"
    asks = "biases or normalisation layers with weights"

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """The biases of each layer, and all weights of a normalisation."""
        for layer in layers:
            for weight, _ in layer.named_parameters(recurse=False):
                if weight.startswith("bias") or isinstance(layer, NORMS):
                    yield Move(layer, weight)
