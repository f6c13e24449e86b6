"""Linear heads in closed form, differentiable, and their exact leave-out predictions.

With few images of many features (n << f) everything lies in the span of the support: the n x n
matrix K of inner products is all that is needed. A classifier is a matrix of coefficients A (n k):
its scores are K A. `together` says which rows are left out at the same time (the images of one
patient, say): `n n`, a block of ones for each set, up to the order of rows.
"""

import torch
from jaxtyping import Bool, Float
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


def ridge(
    kernel: Float[Tensor, "n n"],
    targets: Float[Tensor, "n k"],
    penalty: float,
    weights: Float[Tensor, "n"],
    together: Bool[Tensor, "n n"],
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
    """Weighted ridge regression, and its scores for each row from a fit without its set.

    The fit minimizes sum_i w_i |f(x_i) - y_i|^2 + penalty |f|^2, A = G y with
    G = (K + penalty diag(1/w))^-1. Without the rows H, the residuals are G_HH^-1 A_H: exact, and no
    fit is repeated (Cawley & Talbot 2003, doi:10.1016/S0031-3203(03)00136-5, for sets of rows).
    All sets are solved for at once: G with zeros between sets is the G_HH along its diagonal.
    """
    inverse = torch.linalg.inv(kernel + penalty * torch.diag(1 / weights))
    coefficients = inverse @ targets
    return coefficients, targets - torch.linalg.solve(inverse * together, coefficients)


def prototypes(
    kernel: Float[Tensor, "n n"],
    labels: Float[Tensor, "n k"],
    together: Bool[Tensor, "n n"],
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
    """Cosine to the mean of each class, and for each row to the means without its set.

    A class of which nothing is left scores 0. For the sums s_c of a class and h_c of what is left
    out of it, the length of what is left is |s_c|^2 - 2 s_c.h_c + |h_c|^2.
    """
    own = together.to(kernel)
    sums, mine = kernel @ labels, (kernel * own) @ labels  # products with s_c, and with h_c
    lengths = (labels * sums).sum(0)
    left = lengths - own @ (labels * (2 * sums - mine))  # of what is left, squared
    some = labels.sum(0) - own @ labels > 0.5  # rows of the class are left
    left_out = torch.where(some, (sums - mine) / left.clamp(min=1e-12).sqrt(), 0)
    return labels / lengths.clamp(min=1e-12).sqrt(), left_out
