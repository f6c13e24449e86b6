"""Parameter-efficient fine-tuning methods, and the trainable copy of a predictor that they move.

Full fine-tuning, the head alone, BitFit, FiLM, parallel residual adapters, LoRA.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from medshot.core import (
    ConfigError,
    Predictor,
    Registry,
    called,
    freeze_copy,
    options_of,
    unfreeze_copy,
    unknown,
)
from medshot.nn.layers import CONVOLUTIONS, NORMS

_METHODS: Registry[type["FineTuneMethod"]] = Registry(
    "fine-tuning method", "medshot.stages.finetune"
)


@dataclass(frozen=True)
class Move:
    """A trainable weight of `layer`: trained directly, or through the parameters of `change`.

    `change` maps the initial weight to the current weight. It starts as the identity.
    """

    layer: nn.Module
    weight: str
    change: nn.Module | None = None


class FineTuneMethod(ABC):
    """Which weights below the head are trained; the head is trained by every method.

    A new method is a subclass that has a `name`; importing it registers it. Modules that it adds
    are folded into the weights at the end, so that the saved predictor has its usual modules.
    """

    name: ClassVar[str]
    source: ClassVar[str]  # author, year, identifier
    asks: ClassVar[str] = ""  # layers that it needs, for the message where there are none

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in cls.__dict__:
            _METHODS[cls.name] = cls

    @abstractmethod
    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """Trainable weights of `layers`, those below the head that have weights."""


def methods() -> MappingProxyType[str, type[FineTuneMethod]]:
    """Every method by name."""
    return _METHODS.all()


def get_method(name: str, **options: Any) -> FineTuneMethod:
    """Build the method `name`; options are the keyword arguments of its class.

    Raises:
        ConfigError: an unknown method or option, or an invalid value.
    """
    cls = _METHODS.find(name)
    for option in options:
        if option not in options_of(cls):
            raise unknown(option, options_of(cls), kind=f"option of {name!r}")
    return cls(**options)


class All(FineTuneMethod):
    """Full fine-tuning.

    Source: Guo et al. 2020, arXiv:1912.07200 (simple fine-tuning did better than meta-learning in
    their benchmark, which has medical images).
    """

    name = "all"
    source = "Guo et al. 2020, arXiv:1912.07200"
    asks = "weights"

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """All weights."""
        for layer in layers:
            for weight, _ in layer.named_parameters(recurse=False):
                yield Move(layer, weight)


class Head(FineTuneMethod):
    """Train the head that the learner fitted; all below is frozen.

    Source: Chen et al. 2019, arXiv:1904.04232 (the baseline: a new classifier on a fixed encoder).
    """

    name = "head"
    source = "Chen et al. 2019, arXiv:1904.04232"

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """Nothing below the head."""
        del layers
        return iter(())


class Bias(FineTuneMethod):
    """BitFit: train every bias, and every scale of a normalization layer.

    Source: Ben Zaken et al. 2022, arXiv:2106.10199 (BitFit).

    Where we differ: theirs are the biases alone, including those of normalization layers; here
    the scales of these layers are trained too.
    """

    name = "bias"
    source = "Ben Zaken et al. 2022, arXiv:2106.10199"
    asks = "biases or normalisation layers with weights"

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """The biases of each layer, and all weights of a normalization layer."""
        for layer in layers:
            for weight, _ in layer.named_parameters(recurse=False):
                if weight.startswith("bias") or isinstance(layer, NORMS):
                    yield Move(layer, weight)


class FiLM(FineTuneMethod):
    """FiLM: scale channel c by (1 + s_c) and shift it by t_c after each normalization layer.

    Source: Perez et al. 2018, arXiv:1709.07871.

    Where we differ: s and t are trained, where theirs are predicted by a network (as in the
    learner `film`).

    A normalisation with weights g and b ends as g (1 + s) and b (1 + s) + t: the two are folded in.
    Where no layer normalises, the channels of each convolution are scaled and shifted instead.
    """

    name = "film"
    source = "Perez et al. 2018, arXiv:1709.07871"
    asks = "normalisation layers with weights, nor convolutions"

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """Scale and shift of each normalization layer, or of each convolution."""
        norms = [layer for layer in layers if isinstance(layer, NORMS)]
        for layer in norms or [each for each in layers if isinstance(each, CONVOLUTIONS)]:
            scale = nn.Parameter(torch.zeros(len(layer.weight)).to(layer.weight))
            yield Move(layer, "weight", Scaled(scale))
            if isinstance(getattr(layer, "bias", None), Tensor):
                yield Move(layer, "bias", ModulatedBias(scale))


class Scaled(nn.Module):
    """A weight with rows multiplied by 1 + `scale`."""

    def __init__(self, scale: nn.Parameter) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weight: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
        """The scaled weight."""
        return weight * (1 + _rows(self.scale, weight))


class ModulatedBias(nn.Module):
    """A bias multiplied by 1 + `scale`, plus `shift`."""

    def __init__(self, scale: nn.Parameter) -> None:
        super().__init__()
        self.scale, self.shift = scale, nn.Parameter(torch.zeros_like(scale))

    def forward(self, bias: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
        """The shifted bias."""
        return bias * (1 + _rows(self.scale, bias)) + _rows(self.shift, bias)


def _rows(values: Float[Tensor, "c"], like: Tensor) -> Float[Tensor, "c ..."]:
    return values.view(-1, *(1,) * (like.ndim - 1))


class Adapter(FineTuneMethod):
    """Parallel residual adapters: a 1x1 convolution next to each convolution, outputs added.

    Source: Rebuffi et al. 2018, arXiv:1803.10082 (parallel residual adapters); in few-shot learning
    Li et al. 2022, arXiv:2107.00358. They are initialized to zero.

    As both are linear they are one convolution: the adapter is added to the middle of the kernel.
    (Those of Rebuffi et al. 2017, arXiv:1705.08045, stand behind the convolution, in series.)
    Convolutions without a middle, and those of a single pixel already, get none.
    """

    name = "adapter"
    source = "Rebuffi et al. 2018, arXiv:1803.10082"
    asks = "convolutions of 3 pixels or more"

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """The weight of each convolution whose kernel has a center."""
        for layer in layers:
            if isinstance(layer, CONVOLUTIONS) and _has_middle(layer.kernel_size):
                yield Move(layer, "weight", Beside(layer.weight))


class Beside(nn.Module):
    """A kernel with a matrix added to its center."""

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
    """LoRA: add `alpha / rank` times B A to the weight of every linear layer and convolution.

    Source: Hu et al. 2022, arXiv:2106.09685: A is random and B zero at the start. The weight of a
    convolution is taken as a matrix with a row for each output channel: A is then a convolution to
    `rank` channels, and B one of 1 x 1. A layer smaller than `rank` gets a lower rank.

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
    """A weight plus `alpha / rank` times `b @ a`, in the shape of the weight."""

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


TOLD = ("labels",)  # tensors of a head that are data and not fitted


def below_head(whole: nn.Module) -> list[nn.Module]:
    """Modules with weights of their own in an encoder, or in a predictor below its head."""
    modules = [module for module in whole.modules() if not isinstance(module, Predictor)]
    return [m for m in modules if next(m.parameters(recurse=False), None) is not None]


def of_head(predictor: Predictor) -> Iterator[Move]:
    """The tensors that were fitted to the support, where `trainable` made them parameters."""
    for part in predictor.modules():
        if isinstance(part, Predictor):
            for name, _ in part.named_parameters(recurse=False):
                if name not in TOLD:
                    yield Move(part, name)


class TrainableCopy:
    """A copy of `predictor` with trainable head, and with the weights of the method `way`.

    Raises:
        ConfigError: the predictor has no such weights.
    """

    def __init__(self, predictor: Predictor, way: FineTuneMethod) -> None:
        copied = unfreeze_copy(predictor)
        if not predictor.exportable:
            raise ConfigError(
                f"{called(predictor)} is not differentiable, so nothing in it can be fine-tuned. "
                "Take another learner."
            )
        self.way, self.predictor = way, copied.requires_grad_(False)
        below, head = moves_below(self.predictor, way), [*of_head(self.predictor)]
        if not below + head:
            raise ConfigError(
                f"{called(predictor)} has no trainable weights. Keep the model unchanged, or adapt "
                "with another learner, such as linear-probe."
            )
        self.moves = head + below
        self._starts = [_now(move).detach().clone() for move in self.moves]
        for move in self.moves:
            if move.change is None:
                _now(move).requires_grad_(True)
            else:
                parametrize.register_parametrization(move.layer, move.weight, move.change)

    @property
    def moving(self) -> int:
        """Number of trainable parameters."""
        return sum(p.numel() for p in self.predictor.parameters() if p.requires_grad)

    def distance(self) -> Float[Tensor, ""]:
        """Squared distance of all weights to their initial values."""
        pairs = zip(self.moves, self._starts, strict=True)
        return torch.stack([(_now(move) - start).square().sum() for move, start in pairs]).sum()

    def settled(self) -> Predictor:
        """The current predictor with its usual modules: added ones are folded into weights."""
        for move in self.moves:
            if parametrize.is_parametrized(move.layer, move.weight):
                parametrize.remove_parametrizations(move.layer, move.weight)
        return freeze_copy(self.predictor)


def _now(move: Move) -> Tensor:
    return cast(Tensor, getattr(move.layer, move.weight))


def moves_below(whole: nn.Module, way: FineTuneMethod) -> list[Move]:
    """The weights that the method `way` trains, of an encoder or of a predictor below its head.

    Raises:
        ConfigError: there are no such weights.
    """
    found = [*way.moves(below_head(whole))]
    if way.asks and not found:
        inner = next(whole.children(), whole) if isinstance(whole, Predictor) else whole
        raise ConfigError(
            f"{called(inner)} has no {way.asks}, so {way.name!r} has nothing to train below "
            "the head. Take 'head', or an encoder that has some, such as conv4 or unet."
        )
    return found


def default_method(predictor: Predictor) -> str:
    """Default method: lora, or head where lora has no weights to train."""
    found = next(get_method("lora").moves(below_head(predictor)), None)
    return "head" if found is None else "lora"
