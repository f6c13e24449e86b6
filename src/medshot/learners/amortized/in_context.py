"""In-context learning: a transformer reads the support and answers, and nothing is fitted.

A transformer over a set of labelled features: no positions, so no order.
"""

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.errors import ConfigError, TaskError
from medshot.core.registry import called, part
from medshot.core.task import Task
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import InContextPredictor, Reader, prototype_head, widened
from medshot.nn.layers import attend
from medshot.tasks import Classification, one_hot


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
    as far apart as can be, a learned code for "unknown"); Lee et al. 2019, arXiv:1810.00825.
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


class Reads(OnFeatures):
    """A learner whose `reader` reads the support's features with their labels.

    With `residual` the answers are added to those of prototypes, squared distances to the class
    means times a learned number: an untrained reader then starts from a classifier, not from
    chance.
    """

    supports = (Classification,)
    reader: Reader

    def __init__(self, encoder: nn.Module, *, way: int, residual: bool) -> None:
        super().__init__()
        if way < 2:
            raise ConfigError(f"way is {way}, but there are at least two classes to tell apart.")
        self.encoder, self.way = encoder, way
        start = torch.tensor(n_features(encoder) ** -0.5).log()
        self.log_scale = nn.Parameter(start) if residual else None

    def check(self, task: Task) -> None:
        """Also refuses more classes than there are label codes."""
        super().check(task)
        if task.n_outputs > self.way:
            raise TaskError(
                f"This {called(self)} has label codes for {self.way} classes, and the task "
                f"has {task.n_outputs}. Train with way={task.n_outputs} or more."
            )

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> InContextPredictor:
        """Read the support."""
        labels = one_hot(y, task.n_outputs, like=z)
        with torch.autocast(z.device.type, enabled=False):
            memory = self.reader.remember(z, labels)
            scale = 0.0 if self.log_scale is None else self.log_scale.exp()
            weight, bias = prototype_head(z, labels, scale)
        return InContextPredictor(encoder, self.reader, memory, weight, bias)


@register("in-context")
class InContext(Reads):
    """A transformer over the support as a set; each query looks at it and is answered.

    Source: Fifty et al. 2024, arXiv:2310.10971 (CAML: label codes, a learned code for the
    query's unknown label, no positions); Lee et al. 2019, arXiv:1810.00825 (attention over sets).

    Where we differ: a query looks at the support alone, and the support never at a query, so
    that an image gets the same answer alone and among others, and the support is read once and
    kept: a query costs only its own token. The paper lets all tokens of one query's sequence look
    at each other. The encoder is trained too, and is small; theirs is large and frozen. The
    answer is the token's fit to each class's code, where the paper has a linear layer. With
    `residual`, and by default, it is added to the answer of prototypes: the paper's learner, which
    starts from chance, needs far more training. `way` is the most classes that there are
    codes for; those codes that no episode used in meta-training have taught nothing.
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
                f"width={width} has to be a multiple of heads={heads}, and no number below 1 can "
                f"be (layers={layers})."
            )
        self.reader = SetTransformer(n_features(encoder), way, width, layers, heads)
