"""How far one image is from another: the largest difference of a value, or the Euclidean length.

A change of images, `n c *s`, is measured image by image.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

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
