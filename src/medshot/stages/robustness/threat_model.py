"""Threat model: the norm (L-infinity or L2) and `epsilon` of an attack.

A change of images, `n c *s`, is measured image by image.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core import ConfigError, unknown

Images = Float[Tensor, "n c *s"]


class Norm(ABC):
    """What an attack has to know of a norm."""

    name: ClassVar[str]
    said: ClassVar[str]  # as a person reads it

    @abstractmethod
    def steepest(self, gradient: Images) -> Images:
        """The change of length 1 that goes up the most; none where the gradient is zero."""

    @abstractmethod
    def projected(self, change: Images, epsilon: float) -> Images:
        """The nearest change that is no longer than `epsilon`."""

    @abstractmethod
    def drawn(self, like: Images, epsilon: float, rng: torch.Generator) -> Images:
        """Changes drawn evenly from all that are no longer than `epsilon`."""

    @abstractmethod
    def height(self, epsilon: float, values: int) -> float:
        """How much a patch of so many values is raised or lowered at once, to be projected then.

        Enough to cross the ball from side to side (L-infinity), or its radius (L2).
        """

    @abstractmethod
    def largest(self, values: int) -> float:
        """The distance of white from black, for images of so many values in [0, 1]."""


class Linf(Norm):
    """The largest absolute value."""

    name, said = "linf", "L-infinity"

    def steepest(self, gradient: Images) -> Images:
        """Its sign."""
        return gradient.sign()

    def projected(self, change: Images, epsilon: float) -> Images:
        """Each value cut off."""
        return change.clamp(-epsilon, epsilon)

    def drawn(self, like: Images, epsilon: float, rng: torch.Generator) -> Images:
        """Each value evenly."""
        return (epsilon * (2 * torch.rand(like.shape, generator=rng) - 1)).to(like)

    def height(self, epsilon: float, values: int) -> float:
        """From one side to the other."""
        del values
        return 2 * epsilon

    def largest(self, values: int) -> float:
        """1, whatever the size."""
        del values
        return 1.0


class L2(Norm):
    """The root of the sum of squares, over all values of an image."""

    name, said = "l2", "L2"

    def steepest(self, gradient: Images) -> Images:
        """Along the gradient."""
        return gradient / _length(gradient).clamp(min=torch.finfo(gradient.dtype).tiny)

    def projected(self, change: Images, epsilon: float) -> Images:
        """Shortened as a whole."""
        return change * (epsilon / _length(change).clamp(min=epsilon))

    def drawn(self, like: Images, epsilon: float, rng: torch.Generator) -> Images:
        """An even direction, and a length for which every volume is as likely."""
        direction = self.steepest(torch.randn(like.shape, generator=rng))
        share = torch.rand(len(like), generator=rng).view(-1, *[1] * (like.ndim - 1))
        return (epsilon * direction * share ** (1 / like[0].numel())).to(like)

    def height(self, epsilon: float, values: int) -> float:
        """A patch as long as `epsilon`."""
        return epsilon / math.sqrt(values)

    def largest(self, values: int) -> float:
        """The root of how many values there are."""
        return math.sqrt(values)


NORMS: dict[str, Norm] = {norm.name: norm for norm in (Linf(), L2())}


def _length(change: Images) -> Float[Tensor, "n ..."]:
    flat = torch.linalg.vector_norm(change.flatten(1), dim=1)
    return flat.view(-1, *[1] * (change.ndim - 1))


@dataclass(frozen=True)
class ThreatModel:
    """All images in [0, 1] that are no further than `epsilon` from a given one.

    Raises:
        ConfigError: an epsilon that no two images are apart, or an unknown norm.
    """

    epsilon: float
    norm: str = "linf"

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise unknown(self.norm, NORMS, kind="norm")
        if not 0 < self.epsilon < math.inf:
            raise ConfigError(
                f"epsilon is {self.epsilon}, and must be above 0 and finite. Write 4/255 for four "
                "of 255 grey levels."
            )
        if self.norm == "linf" and self.epsilon > 1:
            raise ConfigError(
                f"epsilon is {self.epsilon:g}, and no two images in [0, 1] are further apart than "
                f"1. For grey levels write {self.epsilon:g}/255."
            )

    @property
    def measure(self) -> Norm:
        """The norm itself."""
        return NORMS[self.norm]

    def check(self, x: Images) -> None:
        """Refuse images outside of [0, 1], and an epsilon that leaves nothing of them."""
        if len(x) and not (x.min() >= 0 and x.max() <= 1):
            raise ConfigError(
                f"Images lie in [0, 1], and these go from {float(x.min()):g} to "
                f"{float(x.max()):g}. Divide 8-bit values by 255."
            )
        most = self.measure.largest(x[0].numel()) if len(x) else math.inf
        if self.epsilon > most:
            raise ConfigError(
                f"epsilon is {self.epsilon:g}, and images of {x[0].numel()} values are at most "
                f"{most:g} apart in {self.measure.said}. Take a smaller one."
            )

    def fitted(self, changed: Images, x: Images) -> Images:
        """`changed`, brought back to where it may be: in [0, 1] and near `x`."""
        change = self.measure.projected(changed.clamp(0, 1) - x, self.epsilon)
        return (x + change).clamp(0, 1)  # again: the sum is rounded

    def __str__(self) -> str:
        """As one writes it: `4/255` in grey levels, or the number."""
        levels = 255 * self.epsilon
        grey = self.norm == "linf" and math.isclose(levels, round(levels), abs_tol=1e-6)
        return f"{round(levels)}/255" if grey else f"{self.epsilon:g}"


def read_epsilon(text: str) -> float:
    """The number that is written as `4/255` or as `0.0157`.

    Raises:
        ConfigError: it is no number.
    """
    try:
        return float(Fraction(text.replace(" ", "")))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise ConfigError(
            f"epsilon is {text!r}, which is no number. Write 4/255, or 0.0157."
        ) from error
