"""Linear classifiers in closed form on a kernel matrix, and what each says of what it left out.

With few images of many features everything lies in the span of the support: the n x n matrix K of
inner products is all that is needed. A classifier is a matrix of coefficients A (n k) and an
intercept b (k): its scores are K A + b. `held` lists sets of rows (the images of a patient, say)
that are left out together.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

Dual = tuple[Float[Tensor, "n k"], Float[Tensor, "k"]]


def ridge(
    kernel: Float[Tensor, "n n"],
    targets: Float[Tensor, "n k"],
    penalty: float,
    weights: Float[Tensor, "n"],
    held: Sequence[Int[Tensor, "m"]],
) -> tuple[Dual, Float[Tensor, "n k"]]:
    """Weighted ridge regression, and its scores for each row from a fit without its set.

    The fit minimizes sum_i w_i |f(x_i) - y_i|^2 + penalty |f|^2, A = G y with
    G = (K + penalty diag(1/w))^-1. Without the rows H, the residuals are G_HH^-1 A_H: exact, and no
    fit is repeated (Cawley & Talbot 2003, doi:10.1016/S0031-3203(03)00136-5, for sets of rows).
    """
    inverse = torch.linalg.inv(kernel + penalty * torch.diag(1 / weights))
    coefficients = inverse @ targets
    left_out = torch.empty_like(targets)
    for rows in held:
        block = inverse[rows][:, rows]
        left_out[rows] = targets[rows] - torch.linalg.solve(block, coefficients[rows])
    return (coefficients, targets.new_zeros(targets.shape[1])), left_out


def prototypes(
    kernel: Float[Tensor, "n n"],
    labels: Float[Tensor, "n k"],
    held: Sequence[Int[Tensor, "m"]],
) -> tuple[Dual, Float[Tensor, "n k"]]:
    """Cosine to the mean of each class, and for each row to the means without its set.

    A class of which nothing is left scores 0.
    """

    def fitted(rows: Tensor) -> Tensor:
        means = labels[rows] / labels[rows].sum(0).clamp(min=1)
        lengths = (means * (kernel[rows][:, rows] @ means)).sum(0).clamp(min=1e-12).sqrt()
        return means / lengths

    everything = torch.arange(len(kernel), device=kernel.device)
    left_out = torch.empty_like(labels)
    for rows in held:
        rest = _without(everything, rows)
        left_out[rows] = kernel[rows][:, rest] @ fitted(rest)
    return (fitted(everything), labels.new_zeros(labels.shape[1])), left_out


def logistic(
    kernel: Float[Tensor, "n n"],
    labels: Float[Tensor, "n k"],
    penalty: float,
    weights: Float[Tensor, "n"],
    held: Sequence[Int[Tensor, "m"]],
    steps: int = 100,
) -> tuple[Dual, Float[Tensor, "n k"]]:
    """Multinomial logistic regression, and its scores for each row from a fit without its set.

    The fit minimizes sum_i w_i CE(f(x_i), y_i) + penalty/2 |f|^2, the intercept free, by steps on
    the quadratic bound of Boehning 1992, doi:10.1007/BF00048682 (the Hessian of the softmax is at
    most one half), with Nesterov's momentum: one matrix is inverted for all steps.
    """
    everything = torch.arange(len(kernel), device=kernel.device)

    def fitted(rows: Tensor, steps: int) -> Dual:
        k, y, w = kernel[rows][:, rows], labels[rows], weights[rows][:, None]
        inverse = torch.linalg.inv(k / 2 + penalty * torch.diag(1 / w[:, 0]))
        last = here = torch.zeros_like(y), y.new_zeros(y.shape[1])
        pace = 1.0
        for _ in range(steps):
            residual = y - (k @ here[0] + here[1]).softmax(1)
            step = inverse @ (residual - penalty / w * here[0])
            after = here[0] + step, here[1] + 2 * (w * residual).sum(0) / w.sum()
            pace, before = (1 + (1 + 4 * pace**2) ** 0.5) / 2, pace
            ahead = (before - 1) / pace
            here = tuple(a + ahead * (a - b) for a, b in zip(after, last, strict=True))
            last = after
        return last

    left_out = torch.empty_like(labels)
    for rows in held:
        rest = _without(everything, rows)
        coefficients, intercept = fitted(rest, steps // 2)
        left_out[rows] = kernel[rows][:, rest] @ coefficients + intercept
    return fitted(everything, steps), left_out


def _without(everything: Tensor, rows: Tensor) -> Tensor:
    return everything[~torch.isin(everything, rows)]
