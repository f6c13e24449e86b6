"""Heads in closed form, differentiable, for few examples of many features (n << f)."""

import torch
from jaxtyping import Float
from torch import Tensor


def shrunk_discriminant(
    means: Float[Tensor, "k f"], residuals: Float[Tensor, "n f"], shrinkage: Float[Tensor, ""]
) -> Float[Tensor, "f k"]:
    """The weights S^-1 m_k of linear discriminant analysis, S shrunk towards a sphere.

    S = (1 - s) R'R / n + s mu I, with R the residuals about the class means, s the shrinkage
    in (0, 1], mu the mean variance tr(R'R) / (n f). By the Woodbury identity only an n x n
    system is solved, never one of f x f.
    """
    n, f = residuals.shape
    sphere = shrinkage * residuals.square().sum() / (n * f)
    inner = (1 - shrinkage) / n * residuals @ residuals.T  # n n
    eye = torch.eye(n, dtype=inner.dtype, device=inner.device)
    along = residuals @ means.T  # n k
    solved = torch.linalg.solve(inner + sphere * eye, along)
    return (means.T - (1 - shrinkage) / n * residuals.T @ solved) / sphere


def ledoit_wolf_shrinkage(residuals: Float[Tensor, "n f"]) -> Float[Tensor, ""]:
    """How far to shrink a covariance towards a sphere, in [0, 1], from the data alone.

    Source: Ledoit & Wolf 2004, J. Multivariate Analysis 88, 365-411, lemmas 3.2 to 3.4. The
    sums over f x f entries are taken through the n x n Gram matrix. Residuals have mean 0.
    """
    n, f = residuals.shape
    squared = (residuals @ residuals.T / n).square().sum()  # |S|^2
    mu = residuals.square().sum() / (n * f)
    spread = squared / f - mu.square()  # d^2: how far S is from the sphere mu I
    fourth = residuals.square().sum(1).square().mean()
    noise = (fourth - squared) / (n * f)  # b^2: how uncertain S is
    return torch.where(spread > 0, noise.clamp(min=0) / spread, 1.0).clamp(max=1)


def ridge_weights(
    z: Float[Tensor, "n f"], targets: Float[Tensor, "n k"], penalty: Float[Tensor, ""]
) -> Float[Tensor, "f k"]:
    """The W that minimises |Z W - Y|^2 + penalty |W|^2.

    By the Woodbury identity (Z'Z + p I)^-1 Z' = Z' (Z Z' + p I)^-1, so that the system solved is
    the smaller of f x f and n x n.
    """
    with torch.autocast(z.device.type, enabled=False):
        n, f = z.shape
        gram = z @ z.T if n <= f else z.T @ z
        lifted = gram + penalty * torch.eye(len(gram), dtype=z.dtype, device=z.device)
        if n <= f:
            return z.T @ torch.linalg.solve(lifted, targets)
        return torch.linalg.solve(lifted, z.T @ targets)


def precision_factors(
    rows: Float[Tensor, "r f"], weights: Float[Tensor, "k r"], diagonals: Float[Tensor, "k f"]
) -> Float[Tensor, "k r f"]:
    """F_c with (D_c + R' W_c R)^-1 = D_c^-1 - F_c' F_c, for k sums of weighted rows r r'.

    The Woodbury identity: of each inverse only a factor of r rows is made, never f x f.
    """
    with torch.autocast(rows.device.type, enabled=False):
        scaled = weights.sqrt()[:, :, None] * rows  # k r f
        whitened = scaled / diagonals[:, None, :]
        inner = whitened @ scaled.mT + torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
        return torch.linalg.solve_triangular(torch.linalg.cholesky(inner), whitened, upper=False)
