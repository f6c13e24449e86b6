"""Convex quadratic programs over simplices, differentiable in their data.

    minimize  1/2 tr(x K x') + <L, x>   over   x >= 0,   x[1, i] + ... + x[k, i] = total

for `x: k n`, with one simplex per column, as in the dual of a multi-class SVM.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MOST = 60  # maximal number of iterations; 8 to 20 are typical
CLOSE = 1e-10  # relative duality gap to reach before stopping
JITTER = 1e-8


def simplex_qp(
    gram: Float[Tensor, "*b n n"], linear: Float[Tensor, "*b k n"], total: float
) -> Float[Tensor, "*b k n"]:
    """Minimizer, in float64, differentiable in `gram` (K) and `linear` (L).

    Source: the predictor-corrector interior-point method of Mehrotra 1992, SIAM J. Optim. 2,
    575-601; differentiation of the optimality conditions as in Amos & Kolter 2017,
    arXiv:1703.00443.

    Where we differ: the k rows of x share K and are coupled only by the sums, so a Newton step
    solves k systems of n x n and one more, instead of one of kn x kn. K must be symmetric positive
    definite (see `lifted`). The gradient is that for the active set, exact unless an entry is just
    about to enter or leave it; second derivatives are not available.
    """
    with torch.autocast(gram.device.type, enabled=False):
        gram, linear = gram.double(), linear.double()
        with torch.no_grad():
            x, free = _interior_point(gram, linear, total)
            x = x * free / (x * free).sum(-2, keepdim=True) * total
            moving = free & (free.sum(-2, keepdim=True) > 1)  # one alone is fixed by its sum
        return _last_step(gram, linear, x, moving)


def lifted(gram: Float[Tensor, "*b n n"]) -> Float[Tensor, "*b n n"]:
    """`gram` with jitter: `JITTER` times its mean diagonal added to the diagonal.

    With more images than features `gram` is singular; the solution then has about 8 digits.
    """
    mean = gram.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    return gram + JITTER * (mean + 1e-6) * eye


def _interior_point(
    gram: Float[Tensor, "*b n n"], linear: Float[Tensor, "*b k n"], total: float
) -> tuple[Float[Tensor, "*b k n"], Bool[Tensor, "*b k n"]]:
    """A point close to the minimizer, and the mask of its nonzero entries.

    Source of the indicator: El-Bakry, Tapia & Zhang 1994, SIAM Review 36, 45-72. In the last
    iterations either an entry converges and its multiplier vanishes, or vice versa.
    """
    x = torch.full_like(linear, total / linear.shape[-2])
    slope = x @ gram + linear
    scale = (slope.amax((-2, -1), True) - slope.amin((-2, -1), True)).clamp(min=1e-9)
    s = slope - slope.amin(-2, True) + scale  # slope + nu, the multipliers of x >= 0
    free, going = torch.ones_like(x, dtype=torch.bool), torch.ones_like(scale, dtype=torch.bool)
    for _ in range(MOST):
        gap = (x * s).mean((-2, -1), keepdim=True)
        inverse = _inverse(gram[..., None, :, :] + torch.diag_embed(s / x))
        dx, ds = _direction(inverse, x, s, -x * s)  # predictor step
        t = _longest(x, s, dx, ds)
        ahead = ((x + t * dx) * (s + t * ds)).mean((-2, -1), keepdim=True)
        dx, ds = _direction(inverse, x, s, (ahead / gap) ** 3 * gap - x * s - dx * ds)
        t = 0.999 * _longest(x, s, dx, ds) * going  # converged problems of a batch stay fixed
        kept_x, kept_s = 1 + t * dx / x, 1 + t * ds / s
        x, s = x * kept_x, s * kept_s
        free = torch.where(going, kept_x > kept_s, free)
        plain = (torch.minimum(kept_x, kept_s) < 0.3).all(-1, True).all(-2, True)
        going &= (gap > CLOSE * total * scale) | ~plain
        if not going.any():
            break
    return x, free


def _direction(
    inverse: Float[Tensor, "*b k n n"],
    x: Float[Tensor, "*b k n"],
    s: Float[Tensor, "*b k n"],
    wanted: Float[Tensor, "*b k n"],
) -> tuple[Float[Tensor, "*b k n"], Float[Tensor, "*b k n"]]:
    """Newton step of x and s that changes x s by `wanted` and keeps the sums of x."""
    dx = _solve(inverse, wanted / x)
    return dx, (wanted - s * dx) / x


def _last_step(
    gram: Float[Tensor, "*b n n"],
    linear: Float[Tensor, "*b k n"],
    x: Float[Tensor, "*b k n"],
    moving: Bool[Tensor, "*b k n"],
) -> Float[Tensor, "*b k n"]:
    """A final Newton step on the free entries, which lands on the minimizer.

    The gradient is kept in the autograd graph, the step's matrix is not: by the implicit function
    theorem the result then has the derivatives of the minimizer in K and L.
    """
    with torch.no_grad():
        both = moving[..., :, None] & moving[..., None, :]
        matrices = gram[..., None, :, :] * both + torch.diag_embed((~moving).to(gram))
        inverse = _inverse(matrices) * both
    return x - _solve(inverse, x @ gram + linear)


def _solve(
    inverse: Float[Tensor, "*b k n n"], right: Float[Tensor, "*b k n"]
) -> Float[Tensor, "*b k n"]:
    """u with M_j u_j + nu = right_j for each row j, and rows that sum to 0."""
    apart, together = _times(inverse, right), inverse.sum(-3)
    still = together.diagonal(dim1=-2, dim2=-1) == 0  # a column without free entries
    together = together + torch.diag_embed(still.to(together))
    nu = torch.linalg.solve_ex(together, apart.sum(-2)).result
    return apart - _times(inverse, nu[..., None, :])


def _times(matrices: Float[Tensor, "*b k n n"], x: Float[Tensor, "*b #k n"]) -> Tensor:
    return (matrices @ x[..., None])[..., 0]


def _inverse(matrices: Float[Tensor, "*b n n"]) -> Float[Tensor, "*b n n"]:
    # no check here: the loss reports non-finite values more clearly than the factorization
    return torch.cholesky_inverse(torch.linalg.cholesky_ex(matrices).L)


def _longest(
    x: Float[Tensor, "*b k n"],
    s: Float[Tensor, "*b k n"],
    dx: Float[Tensor, "*b k n"],
    ds: Float[Tensor, "*b k n"],
) -> Float[Tensor, "*b 1 1"]:
    """The longest step, at most 1, that keeps x and s nonnegative."""
    least = torch.minimum((dx / x).amin((-2, -1), True), (ds / s).amin((-2, -1), True))
    return 1 / (-least).clamp(min=1)
