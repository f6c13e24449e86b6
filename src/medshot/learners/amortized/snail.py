"""SNAIL: causal convolutions and attention over the support sequence, with the query last.

Every block appends columns and no position depends on a later one. The support's activations
are therefore independent of the query, and its final matrix holds the input of every block in
its first columns: that matrix is the whole cached state.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, DataError, Task, part
from medshot.learners.amortized.in_context import Reads
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import InContextPredictor, Reader, widened
from medshot.nn.layers import attend


class Convolution(nn.Module):
    """Dense block: appends `width` columns of a causal convolution with two taps.

    Source: Mishra et al. 2018, arXiv:1707.03141 (the dense block: tanh times sigmoid).
    """

    def __init__(self, inputs: int, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.taps = nn.Linear(2 * inputs, 2 * width)

    def over(self, x: Float[Tensor, "m d"]) -> Float[Tensor, "m e"]:
        """Apply to all positions of a sequence, with zero padding at its start."""
        return self._grown(x, F.pad(x, (0, 0, self.dilation, 0))[: len(x)])

    def after(self, x: Float[Tensor, "n d"], past: Float[Tensor, "m d"]) -> Float[Tensor, "n e"]:
        """Apply to each row of `x` as the single position after `past`."""
        before = F.pad(past, (0, 0, self.dilation, 0))[len(past)]
        return self._grown(x, before.expand_as(x))

    def _grown(self, now: Tensor, before: Tensor) -> Tensor:
        signal, gate = self.taps(torch.cat([now, before], 1)).chunk(2, 1)
        return torch.cat([now, signal.tanh() * gate.sigmoid()], 1)


class CausalAttention(nn.Module):
    """Attention block: appends `width` columns of single-head causal self-attention.

    Source: Mishra et al. 2018, arXiv:1707.03141 (the attention block).
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.queries, self.keys, self.values = (nn.Linear(inputs, width) for _ in range(3))

    def over(self, x: Float[Tensor, "m d"]) -> Float[Tensor, "m e"]:
        """Apply to all positions of a sequence."""
        before = torch.ones(len(x), len(x), dtype=torch.bool, device=x.device).tril()
        return torch.cat([x, attend(self.queries(x), self.keys(x), self.values(x), before)], 1)

    def after(self, x: Float[Tensor, "n d"], past: Float[Tensor, "m d"]) -> Float[Tensor, "n e"]:
        """Apply to each row of `x` as the single position after `past`."""
        keys, values = self.keys(past).expand(len(x), -1, -1), self.values(past)
        keys = torch.cat([keys, self.keys(x)[:, None]], 1)
        values = torch.cat([values.expand(len(x), -1, -1), self.values(x)[:, None]], 1)
        return torch.cat([x, attend(self.queries(x)[:, None], keys, values)[:, 0]], 1)


@part("reader", "snail")
class Snail(Reader):
    """Alternating attention and dilated convolutions, then a linear layer.

    Source: Mishra et al. 2018, arXiv:1707.03141 (the network for few-shot classification).
    Dilations are 1, 2, 4, ... until the receptive field covers `length` positions.
    """

    def __init__(self, features: int, way: int, length: int, width: int) -> None:
        super().__init__()
        self.way = way
        self.blocks, d = nn.ModuleList(), features + way
        dilations = [2**i for i in range(math.ceil(math.log2(length)))]
        for dilation in (None, *dilations, None, *dilations, None):
            block = Convolution(d, width, dilation) if dilation else CausalAttention(d, width)
            self.blocks.append(block)
            d += width
        self.read = nn.Linear(d, way)

    def remember(
        self, z: Float[Tensor, "m f"], labels: Float[Tensor, "m k"]
    ) -> Float[Tensor, "m d"]:
        """The support with the columns appended by all blocks."""
        x = torch.cat([widened(z), F.pad(labels, (0, self.way - labels.shape[1]))], 1)
        for block in self.blocks:
            x = block.over(x)  # type: ignore[operator]
        return x

    def on_features(
        self, z: Float[Tensor, "n f"], memory: Float[Tensor, "m d"]
    ) -> Float[Tensor, "n way"]:
        """Scores for each row of `z`, as if it alone followed the support."""
        x = F.pad(widened(z), (0, self.way))
        for block in self.blocks:
            x = block.after(x, memory[:, : x.shape[1]])  # type: ignore[operator]
        return self.read(x)


@register("snail")
class SNAIL(Reads):
    """Causal convolutions and attention over labeled features, with the query last.

    Source: Mishra et al. 2018, arXiv:1707.03141. The paper's symbols: T is `length`, the maximal
    sequence length, support and query together; D, the filters of a convolution, is `width`.

    Where we differ: each query is appended alone, so queries do not affect each other. All blocks
    have the same `width`; the paper widens from block to block. The support is sorted by class,
    as folders and episodes list it, so that meta-training and use agree; the order within a class
    is kept, and matters. With `residual`, the default, logits are added to prototype logits: the
    paper's learner starts at chance and needs far more training. `way` is the number of label
    codes, the maximal number of classes; codes that no meta-training episode used are untrained.
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
                f"length={length} must be at least 3 (two images and a query), and width={width} "
                "at least 1."
            )
        self.reader, self.length = Snail(n_features(encoder), way, length, width), length

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> InContextPredictor:
        """Sort the support by class and encode it."""
        if len(y) >= self.length:
            raise DataError(
                f"The support has {len(y)} images, and this SNAIL reads at most {self.length} with "
                f"the query. Train with length={len(y) + 1} or more, or give fewer images."
            )
        order = y.argsort(stable=True)
        return super().fit(encoder, z[order], y[order], task)
