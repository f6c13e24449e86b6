"""Adapters: beside each convolution, one of a single pixel."""

from collections.abc import Iterator, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from medshot.finetuning.layers import CONVOLUTIONS
from medshot.finetuning.way import Move, Way


class Adapter(Way):
    """The output of every convolution gets that of a second one added, which sees one pixel.

    Source: Rebuffi et al. 2018, arXiv:1803.10082 (parallel residual adapters); in few-shot learning
    Li et al. 2022, arXiv:2107.00358. They begin at zero, so that nothing is changed.

    As both are linear they are one convolution: the adapter is added to the middle of the kernel.
    (Those of Rebuffi et al. 2017, arXiv:1705.08045, stand behind the convolution, in series.)
    Convolutions without a middle, and those of a single pixel already, get none.
    """

    name = "adapter"
    source = "Rebuffi et al. 2018, arXiv:1803.10082"
    asks = "convolutions of 3 pixels or more"

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """The weight of each convolution whose kernel has a middle."""
        for layer in layers:
            if isinstance(layer, CONVOLUTIONS) and _has_middle(layer.kernel_size):
                yield Move(layer, "weight", Beside(layer.weight))


class Beside(nn.Module):
    """A kernel with a matrix added to its middle."""

    def __init__(self, weight: Float[Tensor, "o i *s"]) -> None:
        super().__init__()
        self.matrix = nn.Parameter(weight.new_zeros(weight.shape[:2]))
        self.sides = [(side // 2, side // 2) for side in reversed(weight.shape[2:])]

    def forward(self, weight: Float[Tensor, "o i *s"]) -> Float[Tensor, "o i *s"]:
        """The changed kernel."""
        middle = self.matrix.view(*self.matrix.shape, *(1,) * len(self.sides))
        around = [n for side in self.sides for n in side]
        return weight + nn.functional.pad(middle, around)


def _has_middle(kernel: tuple[int, ...]) -> bool:
    return all(side % 2 for side in kernel) and max(kernel) > 1
