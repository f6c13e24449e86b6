"""Ridge regression on random features: what is not linear is learnt in closed form too."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.parts import part

SPREAD = 1.5  # deviation of a random mixture of features of deviation 1
PENALTY = 0.0067
BALANCE = 0.5  # with 0 every row would count alike, with 1 every class
ROWS = 24_000  # to fit to: more hardly change a linear map
EPS = 1e-3
AT_ONCE = 4096  # rows


@part("module", "random-ridge")
class RandomRidge(nn.Module):
    """A score a class from features, and from random mixtures of them that are cut off below zero.

    Source: Rahimi & Recht 2008, Weighted Sums of Random Kitchen Sinks, NeurIPS 21 (a linear map
    on random features is a nonlinear one on what they are made of). The mixtures are drawn from
    one seed, and as many as `weights` has rows for; `random_ridge` fits the rest.
    """

    mean: Tensor
    deviation: Tensor
    weights: Tensor
    mixtures: Tensor
    offsets: Tensor

    def __init__(
        self,
        mean: Float[Tensor, "f"],
        deviation: Float[Tensor, "f"],
        weights: Float[Tensor, "g1 k"],
    ) -> None:
        super().__init__()
        mixtures, offsets = drawn(len(mean), len(weights) - 1 - len(mean))
        tensors = {"mean": mean, "deviation": deviation, "weights": weights}
        tensors |= {"mixtures": mixtures.to(mean), "offsets": offsets.to(mean)}
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    def forward(self, z: Float[Tensor, "m f"]) -> Float[Tensor, "m k"]:
        """A score a class for each row of features: 1 for the class, 0 for others, about."""
        plain, mixed = self.weights[:-1].split([len(self.mean), len(self.offsets)])
        plain, mixtures = (each / self.deviation[:, None] for each in (plain, self.mixtures))
        start, offsets = self.weights[-1] - self.mean @ plain, self.offsets - self.mean @ mixtures
        parts = [  # few rows at a time, which stay in the cache: in half the time
            torch.addmm(start, some, plain) + torch.addmm(offsets, some, mixtures).relu_() @ mixed
            for some in z.split(AT_ONCE)
        ]
        return torch.cat(parts)


@torch.no_grad()
def random_ridge(z: Float[Tensor, "m f"], y: Int[Tensor, "m"], k: int, more: int) -> RandomRidge:
    """Fit to rows of features with their classes; `more` mixtures stand beside the features.

    Classes count by the root of their share. Of many rows, `ROWS` are drawn from a seed.
    """
    if len(y) > ROWS:
        chosen = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))[:ROWS]
        z, y = z[chosen.to(z.device)], y[chosen.to(y.device)]
    labels = torch.eye(k, dtype=z.dtype, device=z.device)[y]
    weight = (labels * (labels.mean(0) + EPS) ** -BALANCE).sum(1, keepdim=True)
    weight = weight / weight.sum()
    mean = (weight * z).sum(0)
    deviation = ((weight * (z - mean).square()).sum(0) + EPS**2).sqrt()
    mixed = (each.to(z) for each in drawn(z.shape[1], more))
    rows = expanded((z - mean) / deviation, *mixed)
    return RandomRidge(mean, deviation, weighted_ridge(rows, labels, weight, PENALTY))


def drawn(n_features: int, more: int) -> tuple[Float[Tensor, "f more"], Float[Tensor, "more"]]:
    """The mixtures, a column each, and what is added to each: always the same."""
    rng = torch.Generator().manual_seed(0)
    mixtures = torch.randn(n_features, more, generator=rng) * SPREAD / n_features**0.5
    return mixtures, torch.randn(more, generator=rng)


def expanded(
    z: Float[Tensor, "m f"], mixtures: Float[Tensor, "f more"], offsets: Float[Tensor, "more"]
) -> Float[Tensor, "m g"]:
    """Features of mean 0 and deviation 1, and their mixtures beside them."""
    return torch.cat([z, torch.relu(z @ mixtures + offsets)], 1)


def weighted_ridge(
    rows: Float[Tensor, "m g"],
    wanted: Float[Tensor, "m k"],
    weight: Float[Tensor, "m 1"],
    penalty: float,
) -> Float[Tensor, "g1 k"]:
    """The linear map with the least squared error; weights are one in all, the last row is free."""
    at, goal = (weight * rows).sum(0), (weight * wanted).sum(0)
    centred = rows - at
    unit = torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
    gram = centred.T @ (weight * centred) + penalty * unit
    slopes = torch.linalg.solve(gram, centred.T @ (weight * (wanted - goal)))
    return torch.cat([slopes, (goal - at @ slopes)[None]])
