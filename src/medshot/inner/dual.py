"""Linear classifiers in closed form on a kernel matrix, and what each says of what it left out.

With few images of many features everything lies in the span of the support: the n x n matrix K of
inner products is all that is needed. A classifier is a matrix of coefficients A (n k): its scores
are K A. `together` says which rows are left out at the same time (the images of one patient, say):
`n n`, a block of ones for each set, up to the order of rows.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


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
