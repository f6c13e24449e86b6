"""The head alone."""

from collections.abc import Iterator, Sequence

from torch import nn

from medshot.finetuning.way import Move, Way


class Head(Way):
    """What the learner fitted moves on; all below it stays.

    Source: Chen et al. 2019, arXiv:1904.04232 (the baseline: a new classifier on a fixed encoder).
    """

    name = "head"
    source = "Chen et al. 2019, arXiv:1904.04232"

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """Nothing below the head."""
        del layers
        return iter(())
