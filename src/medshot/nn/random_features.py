"""A linear map on random features: what is not linear is learnt in closed form too."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

SPREAD = 1.5  # deviation of a random mixture of features of deviation 1
EPS = 1e-3


class RandomFeatures(nn.Module):
    """Features as they are, and `more` random mixtures of them, cut off below zero.

    Source: Rahimi & Recht 2008, Weighted Sums of Random Kitchen Sinks, NeurIPS 21 (a linear map
    on random features is a nonlinear one on what they are made of). The mixtures are drawn once,
    from a seed, and never trained.
    """

    mixtures: Tensor
    offsets: Tensor

    def __init__(self, n_features: int, more: int) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        mixtures = torch.randn(n_features, more, generator=rng) * SPREAD / n_features**0.5
        self.register_buffer("mixtures", mixtures)
        self.register_buffer("offsets", torch.randn(more, generator=rng))

    def forward(self, z: Float[Tensor, "m f"]) -> Float[Tensor, "m g"]:
        """`z`, of mean 0 and deviation 1, and its mixtures beside it."""
        return torch.cat([z, torch.relu(z @ self.mixtures + self.offsets)], 1)


def weights_of(
    labels: Float[Tensor, "m k"], overall: Float[Tensor, "k"], balance: Tensor
) -> Float[Tensor, "m 1"]:
    """What each row counts, one in all: with a balance of 0 all alike, with 1 all classes alike."""
    weight = (labels * (overall + EPS) ** -balance).sum(1, keepdim=True)
    return weight / weight.sum()


def moments(
    z: Float[Tensor, "m f"], weight: Float[Tensor, "m 1"]
) -> tuple[Float[Tensor, "f"], Float[Tensor, "f"]]:
    """The weighted mean and deviation of each feature."""
    mean = (weight * z).sum(0)
    return mean, ((weight * (z - mean).square()).sum(0) + EPS**2).sqrt()


def weighted_ridge(
    rows: Float[Tensor, "m g"],
    wanted: Float[Tensor, "m k"],
    weight: Float[Tensor, "m 1"],
    penalty: Tensor,
) -> Float[Tensor, "g1 k"]:
    """The linear map with the least squared error; weights are one in all, the last row is free."""
    at, goal = (weight * rows).sum(0), (weight * wanted).sum(0)
    centred = rows - at
    unit = torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
    gram = centred.T @ (weight * centred) + penalty * unit
    slopes = torch.linalg.solve(gram, centred.T @ (weight * (wanted - goal)))
    return torch.cat([slopes, (goal - at @ slopes)[None]])
