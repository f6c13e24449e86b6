"""SNAIL: the support is a sequence, and the query comes last in it.

SNAIL: causal convolutions and causal attention over a sequence of labelled features.

Every block only appends columns to the sequence, and no position looks at a later one. So what
the support becomes does not depend on the query that follows it, and its last form holds, in its
first columns, what every block got: that one matrix is all there is to remember.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.errors import ConfigError, DataError
from medshot.core.registry import part
from medshot.core.task import Task
from medshot.learners.amortized.in_context import Reads
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import InContextPredictor, Reader, widened
from medshot.nn.layers import attend


class Convolution(nn.Module):
    """Appends `width` columns, each from a position and the one `dilation` before it.

    Source: Mishra et al. 2018, arXiv:1707.03141 (the dense block: tanh times sigmoid).
    """

    def __init__(self, inputs: int, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.taps = nn.Linear(2 * inputs, 2 * width)

    def over(self, x: Float[Tensor, "m d"]) -> Float[Tensor, "m e"]:
        """All positions of a sequence; before its beginning there are zeros."""
        return self._grown(x, F.pad(x, (0, 0, self.dilation, 0))[: len(x)])

    def after(self, x: Float[Tensor, "n d"], past: Float[Tensor, "m d"]) -> Float[Tensor, "n e"]:
        """Each row of `x` as the one position that follows `past`."""
        before = F.pad(past, (0, 0, self.dilation, 0))[len(past)]
        return self._grown(x, before.expand_as(x))

    def _grown(self, now: Tensor, before: Tensor) -> Tensor:
        signal, gate = self.taps(torch.cat([now, before], 1)).chunk(2, 1)
        return torch.cat([now, signal.tanh() * gate.sigmoid()], 1)


class Attention(nn.Module):
    """Appends `width` columns: what a position sees when it attends to itself and those before.

    Source: Mishra et al. 2018, arXiv:1707.03141 (the attention block, of one head).
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.queries, self.keys, self.values = (nn.Linear(inputs, width) for _ in range(3))

    def over(self, x: Float[Tensor, "m d"]) -> Float[Tensor, "m e"]:
        """All positions of a sequence."""
        before = torch.ones(len(x), len(x), dtype=torch.bool, device=x.device).tril()
        return torch.cat([x, attend(self.queries(x), self.keys(x), self.values(x), before)], 1)

    def after(self, x: Float[Tensor, "n d"], past: Float[Tensor, "m d"]) -> Float[Tensor, "n e"]:
        """Each row of `x` as the one position that follows `past`."""
        keys, values = self.keys(past).expand(len(x), -1, -1), self.values(past)
        keys = torch.cat([keys, self.keys(x)[:, None]], 1)
        values = torch.cat([values.expand(len(x), -1, -1), self.values(x)[:, None]], 1)
        return torch.cat([x, attend(self.queries(x)[:, None], keys, values)[:, 0]], 1)


@part("reader", "snail")
class Snail(Reader):
    """Attention, convolutions, attention, convolutions, attention; then a linear map.

    Source: Mishra et al. 2018, arXiv:1707.03141 (the network for few-shot classification).
    Convolutions with dilations 1, 2, 4, ... until they reach over `length` positions.
    """

    def __init__(self, features: int, way: int, length: int, width: int) -> None:
        super().__init__()
        self.way = way
        self.blocks, d = nn.ModuleList(), features + way
        dilations = [2**i for i in range(math.ceil(math.log2(length)))]
        for dilation in (None, *dilations, None, *dilations, None):
            block = Convolution(d, width, dilation) if dilation else Attention(d, width)
            self.blocks.append(block)
            d += width
        self.read = nn.Linear(d, way)

    def remember(
        self, z: Float[Tensor, "m f"], labels: Float[Tensor, "m k"]
    ) -> Float[Tensor, "m d"]:
        """The support with all columns that the blocks append."""
        x = torch.cat([widened(z), F.pad(labels, (0, self.way - labels.shape[1]))], 1)
        for block in self.blocks:
            x = block.over(x)  # type: ignore[operator]
        return x

    def answer(
        self, z: Float[Tensor, "n f"], memory: Float[Tensor, "m d"]
    ) -> Float[Tensor, "n way"]:
        """Scores of each of `z`, without a label, as if it alone followed the support."""
        x = F.pad(widened(z), (0, self.way))
        for block in self.blocks:
            x = block.after(x, memory[:, : x.shape[1]])  # type: ignore[operator]
        return self.read(x)


@register("snail")
class SNAIL(Reads):
    """Causal convolutions and attention over features with their labels, the query last.

    Source: Mishra et al. 2018, arXiv:1707.03141. The paper's symbols: T is `length`, the longest
    sequence, support and query together; D, the filters of a convolution, is `width`.

    Where we differ: every query is appended alone, so that it never sees another. All blocks
    have one `width`, where the paper widens from block to block. The support is read in the order
    of its classes, as folders hold it and as episodes are drawn, so that meta-training and use
    agree; inside a class its own order stays, and matters. With `residual`, and by default, the
    answers are added to those of prototypes: the paper's learner, which starts from chance, needs
    far more training. `way` is the most classes that there are label codes for, so
    that one learner does tasks of any number up to it; codes that no episode used in
    meta-training have taught nothing.
    """

    source = "Mishra et al. 2018, arXiv:1707.03141"
    vectorizes = True
    order_matters = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int = 20,
        length: int = 128,
        width: int = 32,
        residual: bool = True,
    ) -> None:
        super().__init__(encoder, way=way, residual=residual)
        if length < 3 or width < 1:
            raise ConfigError(
                f"length={length} has to be 3 or more, two images and a query, and width={width} "
                "at least 1."
            )
        self.reader, self.length = Snail(n_features(encoder), way, length, width), length

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> InContextPredictor:
        """Put the support in order, and read it."""
        if len(y) >= self.length:
            raise DataError(
                f"The support has {len(y)} images, and this SNAIL reads at most {self.length} with "
                f"the query. Train with length={len(y) + 1} or more, or give fewer images."
            )
        order = y.argsort(stable=True)
        return super().fit(encoder, z[order], y[order], task)
