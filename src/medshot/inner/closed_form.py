"""Differentiable closed-form linear heads with exact leave-out predictions.

With fewer images than features (n << f) the solution lies in the span of the support, so the
n x n Gram matrix K suffices. A classifier is a matrix of dual coefficients A (n k) with scores
K A. `together` (n n) is True for rows that are left out at the same time, such as the images
of one patient: up to the order of rows, a block-diagonal matrix.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def shrunk_discriminant(
    means: Float[Tensor, "k f"], residuals: Float[Tensor, "n f"], shrinkage: Float[Tensor, ""]
) -> Float[Tensor, "f k"]:
    """LDA weights S^-1 m_k, with S shrunk toward a multiple of the identity.

    S = (1 - s) R'R / n + s mu I, with R the residuals about the class means, s the shrinkage
    in (0, 1], mu the mean variance tr(R'R) / (n f). By the Woodbury identity only an n x n
    system is solved, not f x f.
    """
    n, f = residuals.shape
    sphere = shrinkage * residuals.square().sum() / (n * f)
    inner = (1 - shrinkage) / n * residuals @ residuals.T  # n n
    eye = torch.eye(n, dtype=inner.dtype, device=inner.device)
    along = residuals @ means.T  # n k
    solved = torch.linalg.solve(inner + sphere * eye, along)
    return (means.T - (1 - shrinkage) / n * residuals.T @ solved) / sphere


def ledoit_wolf_shrinkage(residuals: Float[Tensor, "n f"]) -> Float[Tensor, ""]:
    """Ledoit-Wolf shrinkage intensity in [0, 1].

    Source: Ledoit & Wolf 2004, J. Multivariate Analysis 88, 365-411, lemmas 3.2 to 3.4. Sums
    over f x f entries are computed from the n x n Gram matrix. Residuals have mean 0.
    """
    n, f = residuals.shape
    squared = (residuals @ residuals.T / n).square().sum()  # |S|^2
    mu = residuals.square().sum() / (n * f)
    spread = squared / f - mu.square()  # d^2: squared distance of S from mu I
    fourth = residuals.square().sum(1).square().mean()
    noise = (fourth - squared) / (n * f)  # b^2: variance of the estimate S
    return torch.where(spread > 0, noise.clamp(min=0) / spread, 1.0).clamp(max=1)


def ridge_weights(
    z: Float[Tensor, "n f"], targets: Float[Tensor, "n k"], penalty: Float[Tensor, ""]
) -> Float[Tensor, "f k"]:
    """The W that minimizes |Z W - Y|^2 + penalty |W|^2.

    By the Woodbury identity (Z'Z + p I)^-1 Z' = Z' (Z Z' + p I)^-1, the smaller of the f x f and
    the n x n system is solved.
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
    """F_c with (D_c + R' W_c R)^-1 = D_c^-1 - F_c' F_c, for each of k classes.

    By the Woodbury identity each inverse is represented by r rows, without f x f matrices.
    """
    with torch.autocast(rows.device.type, enabled=False):
        scaled = weights.sqrt()[:, :, None] * rows  # k r f
        whitened = scaled / diagonals[:, None, :]
        inner = whitened @ scaled.mT + torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
        return torch.linalg.solve_triangular(torch.linalg.cholesky(inner), whitened, upper=False)


def ridge(
    kernel: Float[Tensor, "n n"],
    targets: Float[Tensor, "n k"],
    penalty: float,
    weights: Float[Tensor, "n"],
    together: Bool[Tensor, "n n"],
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
    """Weighted kernel ridge regression: coefficients and exact leave-out scores of each row.

    The fit minimizes sum_i w_i |f(x_i) - y_i|^2 + penalty |f|^2, so A = G y with
    G = (K + penalty diag(1/w))^-1. Leaving out rows H, their residuals are G_HH^-1 A_H, exactly and
    without refitting (Cawley & Talbot 2003, doi:10.1016/S0031-3203(03)00136-5, for sets of rows).
    All sets are solved at once: G with zeros between sets is block-diagonal with blocks G_HH.
    """
    inverse = torch.linalg.inv(kernel + penalty * torch.diag(1 / weights))
    coefficients = inverse @ targets
    return coefficients, targets - torch.linalg.solve(inverse * together, coefficients)


def prototypes(
    kernel: Float[Tensor, "n n"],
    labels: Float[Tensor, "n k"],
    together: Bool[Tensor, "n n"],
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
    """Cosines to class means: coefficients, and leave-out scores of each row.

    A class without remaining rows scores 0. With s_c the sum of a class and h_c that of its
    left-out rows, the remaining squared norm is |s_c|^2 - 2 s_c.h_c + |h_c|^2.
    """
    own = together.to(kernel)
    sums, mine = kernel @ labels, (kernel * own) @ labels  # products with s_c, and with h_c
    lengths = (labels * sums).sum(0)
    left = lengths - own @ (labels * (2 * sums - mine))  # squared norm of the rest
    some = labels.sum(0) - own @ labels > 0.5  # rows of the class are left
    left_out = torch.where(some, (sums - mine) / left.clamp(min=1e-12).sqrt(), 0)
    return labels / lengths.clamp(min=1e-12).sqrt(), left_out
