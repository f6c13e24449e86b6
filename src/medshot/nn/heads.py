"""What comes after an encoder once a task is learnt: linear maps and prototypes.

Each is a predictor whose adapted tensors are buffers; nothing here knows support or query.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.core.predictor import Predictor


def features(encoder: nn.Module, x: Tensor, unit: bool) -> Float[Tensor, "n f"]:
    """Features of `x`, never in half precision; with `unit`, each divided by its L2 norm."""
    z = encoder(x)
    z = z.float() if z.dtype in (torch.bfloat16, torch.float16) else z
    return F.normalize(z, dim=1) if unit else z


@part("predictor", "linear")
class Linear(Predictor):
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
        super().__init__()
        self.encoder, self.unit = encoder, unit
        self.transductive = bool(getattr(encoder, "transductive", False))
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k"]:
        """A logit a class."""
        return features(self.encoder, x, self.unit) @ self.weight + self.bias


@part("predictor", "prototypes")
class Prototypes(Predictor):
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
        super().__init__()
        self.encoder, self.unit, self.root = encoder, unit, root
        self.transductive = bool(getattr(encoder, "transductive", False))
        self.register_buffer("prototypes", prototypes)
        self.register_buffer("scale", scale)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k"]:
        """Minus the scaled distance to each class."""
        z = features(self.encoder, x, self.unit)
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
