"""Soft nearest neighbors: labeled rows vote by attention."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import part

DIMENSIONS = 64  # principal components that are compared
SHARPNESS = 12.0  # of the cosine similarity
MOST = 2000  # rows that vote
BALANCE = 0.5  # 0: votes count as they are; 1: as if all classes were equally frequent
SMALL = 1e-3
AT_ONCE = 4096  # rows


@part("module", "soft-neighbors")
class SoftNeighbors(nn.Module):
    """Shares of the classes among labeled rows, weighted by their similarity.

    Source: Vinyals et al. 2016, arXiv:1606.04080, equation 1: attention by cosine similarity.
    Rows are compared by the principal components of their directions. `shares` are the labels of
    the rows that vote, times the number of rows that each stands for.
    """

    mean: Tensor
    axes: Tensor
    keys: Tensor
    shares: Tensor

    def __init__(
        self,
        mean: Float[Tensor, "f"],
        axes: Float[Tensor, "f d"],
        keys: Float[Tensor, "m d"],
        shares: Float[Tensor, "m k"],
    ) -> None:
        super().__init__()
        tensors = {"mean": mean, "axes": axes, "keys": keys, "shares": shares}
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    def forward(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Shares of the classes, which sum to 1."""
        keys, overall = self.keys * SHARPNESS, self.shares.sum(0) / self.shares.sum()
        chunks = [z] if torch.compiler.is_exporting() else z.split(AT_ONCE)
        factor = (overall + SMALL) ** -BALANCE
        parts = []
        for some in chunks:
            alike = directions(some, self.mean, self.axes) @ keys.T
            parts.append((alike - SHARPNESS).exp() @ self.shares * factor)
        found = torch.cat(parts)
        return found / found.sum(1, keepdim=True)


@torch.no_grad()
def cross_fitted_neighbors(
    z: Float[Tensor, "m f"],
    labels: Float[Tensor, "m k"],
    folds: Int[Tensor, "m"] | None,
    n_folds: int = 0,
) -> list[SoftNeighbors]:
    """`SoftNeighbors` of all rows, then those without each of `n_folds` folds.

    Of each class, as many rows vote, at most `MOST` in all. They are drawn along a random
    direction, so that the order of the rows does not matter.
    """
    unit = F.normalize(z, dim=1)
    mean = unit.mean(0)
    spread = (unit - mean).T @ (unit - mean) / len(z)
    axes = torch.linalg.eigh(spread).eigenvectors[:, -DIMENSIONS:]
    keys = directions(z, mean, axes)
    along = unit @ torch.randn(z.shape[1], generator=torch.Generator().manual_seed(0)).to(unit)
    hard, found = labels.argmax(1), []
    for left_out in range(-1, n_folds):
        chosen, weights = [], []
        for c in range(labels.shape[1]):
            there = hard == c if folds is None else (hard == c) & (folds != left_out)
            own = there.nonzero()[:, 0]
            own = own[along[own].argsort()]
            taken = min(len(own), MOST // labels.shape[1])
            chosen.append(own[torch.linspace(0, len(own) - 1, taken).long().to(own.device)])
            weights.append(keys.new_full((taken, 1), len(own) / max(taken, 1)))
        rows = torch.cat(chosen)
        found.append(SoftNeighbors(mean, axes, keys[rows], labels[rows] * torch.cat(weights)))
    return found


def directions(
    z: Float[Tensor, "n f"], mean: Float[Tensor, "f"], axes: Float[Tensor, "f d"]
) -> Float[Tensor, "n d"]:
    """Unit vectors of the principal components of rows, each scaled to length 1 before."""
    return F.normalize((F.normalize(z, dim=1) - mean) @ axes, dim=1)
