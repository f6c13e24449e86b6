"""Parameter-efficient fine-tuning methods: which weights move, and in what form.

Full fine-tuning, the head alone, BitFit, FiLM, parallel residual adapters, LoRA.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import ConfigError, unknown
from medshot.core.plugins import load_entry_points
from medshot.core.registry import options_of
from medshot.nn.layers import CONVOLUTIONS, NORMS

_METHODS: dict[str, type["FineTuneMethod"]] = {}


@dataclass(frozen=True)
class Move:
    """A weight of `layer` that moves: freely, or as the parameters of `change` say.

    `change` maps the weight as it was to the weight as it is. At first it changes nothing.
    """

    layer: nn.Module
    weight: str
    change: nn.Module | None = None


class FineTuneMethod(ABC):
    """Which weights move below the head; the head moves in every method.

    A new method is a subclass that has a `name`; importing it registers it. Whatever
    it adds is folded into the weights in the end, so that what is saved has its usual parts.
    """

    name: ClassVar[str]
    source: ClassVar[str]  # author, year, identifier
    asks: ClassVar[str] = ""  # what layers it needs, for the message where there are none

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in cls.__dict__:
            _METHODS[cls.name] = cls

    @abstractmethod
    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """What moves in `layers`, those below the head that have weights."""


def methods() -> MappingProxyType[str, type[FineTuneMethod]]:
    """Every method by name."""
    load_entry_points("medshot.stages")
    return MappingProxyType(dict(sorted(_METHODS.items())))


def get_method(name: str, **options: Any) -> FineTuneMethod:
    """The method called `name`; its options are its class's keyword arguments.

    Raises:
        ConfigError: an unknown method or option, or a value that cannot be.
    """
    known = methods()
    if name not in known:
        raise unknown(name, known, kind="fine-tuning method")
    for option in options:
        if option not in options_of(known[name]):
            raise unknown(option, options_of(known[name]), kind=f"option of {name!r}")
    return known[name](**options)


class All(FineTuneMethod):
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


class Head(FineTuneMethod):
    """What the learner fitted moves on; all below it stays.

    Source: Chen et al. 2019, arXiv:1904.04232 (the baseline: a new classifier on a fixed encoder).
    """

    name = "head"
    source = "Chen et al. 2019, arXiv:1904.04232"

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """Nothing below the head."""
        del layers
        return iter(())


class Bias(FineTuneMethod):
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


class FiLM(FineTuneMethod):
    """After each normalisation, channel c becomes (1 + s_c) times itself, plus t_c.

    Source: Perez et al. 2018, arXiv:1709.07871.

    Where we differ: s and t are descended on, where theirs are written by a network (the learner
    `film` has such a one).

    A normalisation with weights g and b ends as g (1 + s) and b (1 + s) + t: the two are folded in.
    Where no layer normalises, the channels of each convolution are scaled and shifted instead.
    """

    name = "film"
    source = "Perez et al. 2018, arXiv:1709.07871"
    asks = "normalisation layers with weights, nor convolutions"

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """Scale and shift of each normalisation, or of each convolution."""
        norms = [layer for layer in layers if isinstance(layer, NORMS)]
        for layer in norms or [each for each in layers if isinstance(each, CONVOLUTIONS)]:
            scale = nn.Parameter(torch.zeros(len(layer.weight)).to(layer.weight))
            yield Move(layer, "weight", Scaled(scale))
            if isinstance(getattr(layer, "bias", None), Tensor):
                yield Move(layer, "bias", Shifted(scale))


class Scaled(nn.Module):
    """A weight whose rows are 1 + `scale` times what they were."""

    def __init__(self, scale: nn.Parameter) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weight: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
        """The scaled weight."""
        return weight * (1 + _rows(self.scale, weight))


class Shifted(nn.Module):
    """A bias that is 1 + `scale` times what it was, plus `shift`."""

    def __init__(self, scale: nn.Parameter) -> None:
        super().__init__()
        self.scale, self.shift = scale, nn.Parameter(torch.zeros_like(scale))

    def forward(self, bias: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
        """The shifted bias."""
        return bias * (1 + _rows(self.scale, bias)) + _rows(self.shift, bias)


def _rows(values: Float[Tensor, "c"], like: Tensor) -> Float[Tensor, "c ..."]:
    return values.view(-1, *(1,) * (like.ndim - 1))


class Adapter(FineTuneMethod):
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


class LoRA(FineTuneMethod):
    """To the weight of every linear layer and convolution, `alpha / rank` times B A is added.

    Source: Hu et al. 2022, arXiv:2106.09685: A is random and B zero at first, so that nothing is
    changed. The weight of a convolution is a matrix, a row an output channel: A is then a
    convolution to `rank` channels, and B one of 1 x 1. A layer smaller than `rank` gets less.

    `peft` does the same (a test compares), keeps A and B beside the layer, and brings
    `transformers`; here they are folded into the weight, for which PyTorch is enough.
    """

    name = "lora"
    source = "Hu et al. 2022, arXiv:2106.09685"
    asks = "linear layers or convolutions"

    def __init__(self, *, rank: int = 4, alpha: float = 4.0) -> None:
        if rank < 1 or not 0 < alpha < math.inf:
            raise ConfigError(f"rank={rank} must be at least 1, and alpha={alpha} above 0.")
        self.rank, self.alpha = rank, alpha

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """The weight of each linear layer and convolution."""
        rng = torch.Generator().manual_seed(0)  # the same support gives the same predictor
        for layer in layers:
            if isinstance(layer, (nn.Linear, *CONVOLUTIONS)):
                yield Move(layer, "weight", LowRank(layer.weight, self.rank, self.alpha, rng))


class LowRank(nn.Module):
    """A weight plus `alpha / rank` times `b @ a`, in the form of the weight."""

    def __init__(self, weight: Tensor, rank: int, alpha: float, rng: torch.Generator) -> None:
        super().__init__()
        outputs, inputs = weight.flatten(1).shape
        self.factor, least = alpha / rank, min(rank, outputs, inputs)
        drawn = torch.rand(least, inputs, generator=rng).to(weight)
        self.a = nn.Parameter((2 * drawn - 1) / inputs**0.5)
        self.b = nn.Parameter(weight.new_zeros(outputs, least))

    def forward(self, weight: Float[Tensor, "o ..."]) -> Float[Tensor, "o ..."]:
        """The changed weight."""
        return weight + self.factor * (self.b @ self.a).view_as(weight)
