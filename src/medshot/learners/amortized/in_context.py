"""In-context learning: a transformer conditions on the support; no inner optimization.

The support is a set of labeled features without positions, so its order does not matter.
"""

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Task, TaskError, called, part
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import InContextPredictor, Reader, prototype_head, widened
from medshot.nn.layers import attend
from medshot.tasks import Classification, one_hot


class Layer(nn.Module):
    """Pre-norm transformer layer: cross-attention to given keys and values, then an MLP.

    Source: Vaswani et al. 2017, arXiv:1706.03762, with normalization before instead of after each
    block, which needs no warm-up (Xiong et al. 2020, arXiv:2002.04745).
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
        """Keys and values of `x`, for other tokens to attend to."""
        x = self.before(x)
        return torch.stack([self.keys(x), self.values(x)])

    def forward(
        self, x: Float[Tensor, "n w"], memory: Float[Tensor, "2 m w"]
    ) -> Float[Tensor, "n w"]:
        """Update `x` by attending to `memory`."""
        found = attend(self._split(self.queries(self.before(x))), *map(self._split, memory))
        x = x + self.mix(found.transpose(0, 1).flatten(1))
        return x + self.after(x)

    def _split(self, x: Float[Tensor, "n w"]) -> Float[Tensor, "heads n v"]:
        return x.unflatten(1, (self.heads, -1)).transpose(0, 1)


@part("reader", "set-transformer")
class SetTransformer(Reader):
    """Support tokens attend to each other; query tokens attend to the support only.

    Source: Fifty et al. 2024, arXiv:2310.10971 (a token is a feature with its label code;
    maximally separated codes; a learned code for "unknown"); Lee et al. 2019, arXiv:1810.00825.
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
        """Keys and values of the support, per layer."""
        x = self._tokens(z, labels @ self.codes[: labels.shape[1]])
        kept = []
        for layer in self.layers:
            kept.append(cast(Layer, layer).remember(x))
            x = layer(x, kept[-1])
        return torch.stack(kept)

    def on_features(
        self, z: Float[Tensor, "n f"], memory: Float[Tensor, "l 2 m w"]
    ) -> Float[Tensor, "n way"]:
        """Logits: inner products of the query's final token with each code."""
        x = self._tokens(z, self.unknown.expand(len(z), -1))
        for layer, kept in zip(self.layers, memory, strict=True):
            x = layer(x, kept)
        return self.read(x) @ self.codes.T

    def _tokens(self, z: Float[Tensor, "n f"], codes: Float[Tensor, "n way"]) -> Tensor:
        # equals one linear map of [feature; code]
        return self.image(widened(z)) + self.label(codes * codes.shape[1] ** 0.5)


def simplex(way: int) -> Float[Tensor, "way way"]:
    """`way` unit-length codes with equal, maximal pairwise angles (a regular simplex).

    Source: Fifty et al. 2024, arXiv:2310.10971 (ELMES).
    """
    centred = torch.eye(way) - 1 / way
    return centred * (way / (way - 1)) ** 0.5


class Reads(OnFeatures):
    """Base class of learners whose `reader` encodes the labeled support features.

    With `residual`, logits are added to those of a prototype classifier (learned scale times
    squared distances to class means), so that an untrained reader does not start at chance.
    """

    supports = (Classification,)
    reader: Reader

    def __init__(self, encoder: nn.Module, *, way: int, residual: bool) -> None:
        super().__init__()
        if way < 2:
            raise ConfigError(f"way is {way}, but must be at least 2 classes.")
        self.encoder, self.way = encoder, way
        start = torch.tensor(n_features(encoder) ** -0.5).log()
        self.log_scale = nn.Parameter(start) if residual else None

    def check(self, task: Task) -> None:
        """Also raise `TaskError` for more classes than label codes."""
        super().check(task)
        if task.n_outputs > self.way:
            raise TaskError(
                f"This {called(self)} has label codes for {self.way} classes, and the task "
                f"has {task.n_outputs}. Train with way={task.n_outputs} or more."
            )

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> InContextPredictor:
        """Encode the support."""
        labels = one_hot(y, task.n_outputs, like=z)
        with torch.autocast(z.device.type, enabled=False):
            memory = self.reader.remember(z, labels)
            scale = 0.0 if self.log_scale is None else self.log_scale.exp()
            weight, bias = prototype_head(z, labels, scale)
        return InContextPredictor(encoder, self.reader, memory, weight, bias)


@register("in-context")
class InContext(Reads):
    """A transformer over the support as a set; each query attends to it independently.

    Source: Fifty et al. 2024, arXiv:2310.10971 (CAML: label codes, a learned code for the
    query's unknown label, no positions); Lee et al. 2019, arXiv:1810.00825 (attention over sets).

    Where we differ: support tokens never attend to a query, so a prediction does not depend on
    other queries, and the support is encoded once and cached: a query costs only its own token.
    In the paper all tokens of a query's sequence attend to each other. The encoder is small and
    trained too; theirs is large and frozen. Logits are inner products with the class codes
    instead of a linear layer. With `residual`, the default, they are added to prototype logits:
    the paper's learner starts at chance and needs far more training. `way` is the number of label
    codes, the maximal number of classes; codes that no meta-training episode used are untrained.
    """

    source = "Fifty et al. 2024, arXiv:2310.10971"
    vectorizes = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int = 20,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        residual: bool = True,
    ) -> None:
        super().__init__(encoder, way=way, residual=residual)
        if min(width, layers, heads) < 1 or width % heads:
            raise ConfigError(
                f"width={width} must be a multiple of heads={heads}, and width, layers={layers} "
                "and heads must be at least 1."
            )
        self.reader = SetTransformer(n_features(encoder), way, width, layers, heads)
