"""What comes after an encoder once a task is learnt: linear maps and prototypes.

Each is a predictor whose adapted tensors are buffers; nothing here knows support or query.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.features import Head


@part("predictor", "linear")
class Linear(Head):
    """`features @ weight + bias`."""

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        weight: Float[Tensor, "f k"],
        bias: Float[Tensor, "k"],
        unit: bool = False,
    ) -> None:
        super().__init__(encoder, unit=unit, weight=weight, bias=bias)

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """A logit a class."""
        return z @ self.weight + self.bias


@part("predictor", "prototypes")
class Prototypes(Head):
    """Minus the squared Euclidean distance (its `root`) to one prototype a class, times `scale`."""

    prototypes: Tensor
    scale: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        prototypes: Float[Tensor, "k f"],
        scale: Float[Tensor, ""],
        unit: bool = False,
        root: bool = False,
    ) -> None:
        super().__init__(encoder, unit=unit, prototypes=prototypes, scale=scale)
        self.root = root

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Minus the scaled distance to each class."""
        return -self.scale * distances(z, self.prototypes, self.root)


def distances(
    z: Float[Tensor, "n f"], centres: Float[Tensor, "k f"], root: bool = False
) -> Float[Tensor, "n k"]:
    """Squared Euclidean distances, or with `root` the plain ones."""
    found = squared_distances(z, centres)
    # at distance 0 the root has no slope
    return found.clamp(min=1e-6).sqrt() if root else found


def squared_distances(
    z: Float[Tensor, "n f"], centres: Float[Tensor, "k f"]
) -> Float[Tensor, "n k"]:
    """|z - c|^2 as |z|^2 - 2 z.c + |c|^2: no tensor of n x k x f is ever made."""
    with torch.autocast(z.device.type, enabled=False):  # a difference of large numbers
        cross = z @ centres.T
        return z.square().sum(1, keepdim=True) - 2 * cross + centres.square().sum(1)


def class_means(z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"]) -> Float[Tensor, "k f"]:
    """The mean feature of each class; `labels` are rows of 0 and 1."""
    with torch.autocast(z.device.type, enabled=False):
        return labels.T @ z / labels.sum(0)[:, None]


def zero_head(n_features: int, k: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """A linear head that prefers no class: weight `f k` and bias `k`, all zero."""
    return torch.zeros(n_features, k).to(like), torch.zeros(k).to(like)
