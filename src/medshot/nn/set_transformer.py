"""A transformer over a set of labelled features: no positions, so no order."""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.attend import attend
from medshot.nn.reading import Reader, widened


class Layer(nn.Module):
    """Attention to keys and values that are given, then two linear maps; both added to `x`.

    Source: Vaswani et al. 2017, arXiv:1706.03762, normalised before instead of after, which
    needs no warm-up (Xiong et al. 2020, arXiv:2002.04745).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.queries, self.mix = nn.Linear(width, width), nn.Linear(width, width)
        self.keys, self.values = nn.Linear(width, width), nn.Linear(width, width)
        self.after = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def remember(self, x: Float[Tensor, "m w"]) -> Float[Tensor, "2 m w"]:
        """The keys and values of `x`, to be attended to."""
        x = self.before(x)
        return torch.stack([self.keys(x), self.values(x)])

    def forward(
        self, x: Float[Tensor, "n w"], memory: Float[Tensor, "2 m w"]
    ) -> Float[Tensor, "n w"]:
        """`x` after it has looked at `memory`."""
        found = attend(self._split(self.queries(self.before(x))), *map(self._split, memory))
        x = x + self.mix(found.transpose(0, 1).flatten(1))
        return x + self.after(x)

    def _split(self, x: Float[Tensor, "n w"]) -> Float[Tensor, "heads n v"]:
        return x.unflatten(1, (self.heads, -1)).transpose(0, 1)


@part("reader", "set-transformer")
class SetTransformer(Reader):
    """Support tokens look at each other; a query token looks at them, and nobody looks at it.

    Source: Fifty et al. 2024, arXiv:2310.10971 (a token is a feature with its label code, codes
    as far apart as can be, a learnt code for "unknown"); Lee et al. 2019, arXiv:1810.00825.
    """

    codes: Tensor

    def __init__(self, features: int, way: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.image, self.label = nn.Linear(features, width), nn.Linear(way, width, bias=False)
        self.unknown = nn.Parameter(torch.randn(way) / way**0.5)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.read = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, way))
        self.register_buffer("codes", simplex(way))

    def remember(
        self, z: Float[Tensor, "m f"], labels: Float[Tensor, "m k"]
    ) -> Float[Tensor, "l 2 m w"]:
        """The keys and values of the support, layer by layer."""
        x = self._tokens(z, labels @ self.codes[: labels.shape[1]])
        kept = []
        for layer in self.layers:
            kept.append(cast(Layer, layer).remember(x))
            x = layer(x, kept[-1])
        return torch.stack(kept)

    def answer(
        self, z: Float[Tensor, "n f"], memory: Float[Tensor, "l 2 m w"]
    ) -> Float[Tensor, "n way"]:
        """How well what each query has become fits each code."""
        x = self._tokens(z, self.unknown.expand(len(z), -1))
        for layer, kept in zip(self.layers, memory, strict=True):
            x = layer(x, kept)
        return self.read(x) @ self.codes.T

    def _tokens(self, z: Float[Tensor, "n f"], codes: Float[Tensor, "n way"]) -> Tensor:
        # one linear map of [feature; code], in two parts
        return self.image(widened(z)) + self.label(codes * codes.shape[1] ** 0.5)


def simplex(way: int) -> Float[Tensor, "way way"]:
    """`way` codes of length 1, any two at the same, the widest possible, angle.

    Source: Fifty et al. 2024, arXiv:2310.10971 (ELMES).
    """
    centred = torch.eye(way) - 1 / way
    return centred * (way / (way - 1)) ** 0.5
