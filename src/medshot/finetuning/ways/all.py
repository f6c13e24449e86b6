"""Everything."""

from collections.abc import Iterator, Sequence

from torch import nn

from medshot.finetuning.way import Move, Way


class All(Way):
    """Every weight moves.

    Source: Guo et al. 2020, arXiv:1912.07200 (simple fine-tuning did better than meta-learning in
    their benchmark, which has medical images).
    """

    name = "all"
    source = "Guo et al. 2020, arXiv:1912.07200"
    asks = "weights"

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """All there is."""
        for layer in layers:
            for weight, _ in layer.named_parameters(recurse=False):
                yield Move(layer, weight)
