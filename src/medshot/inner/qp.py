"""Convex quadratic programmes over simplices, and how their solution moves with the data.

    minimise  1/2 tr(x K x') + <L, x>   over   x >= 0,   x[1, i] + ... + x[k, i] = total

for `x: k n`, one simplex a column: the dual of a multi-class support vector machine is one.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MOST = 60  # iterations; 8 to 20 are usual
CLOSE = 1e-10  # of x s, relative: the interior point goes on at least to there
JITTER = 1e-8


def simplex_qp(
    gram: Float[Tensor, "*b n n"], linear: Float[Tensor, "*b k n"], total: float
) -> Float[Tensor, "*b k n"]:
    """The minimiser, in float64; its gradients reach `gram` (K) and `linear` (L).

    Source: an interior point with the predictor and corrector of Mehrotra 1992, SIAM J. Optim. 2,
    575-601; differentiating the conditions of optimality as Amos & Kolter 2017, arXiv:1703.00443.

    Where we differ: the k rows of x share K and meet only in the sums, so that a Newton step is
    k systems of n x n and one more, not one of kn x kn. K is symmetric and positive definite:
    `lifted` makes it so. The gradient is that of the entries that are not 0, and exact unless one
    is just about to become 0 or to leave it; it cannot be differentiated again.
    """
    with torch.autocast(gram.device.type, enabled=False):
        gram, linear = gram.double(), linear.double()
        with torch.no_grad():
            x, free = _interior_point(gram, linear, total)
            x = x * free / (x * free).sum(-2, keepdim=True) * total
            moving = free & (free.sum(-2, keepdim=True) > 1)  # one alone in its sum is pinned
        return _last_step(gram, linear, x, moving)


def lifted(gram: Float[Tensor, "*b n n"]) -> Float[Tensor, "*b n n"]:
    """`gram` with a hundred-millionth of its mean diagonal added to its diagonal.

    Where images outnumber features it is singular; then 8 digits of a solution are right.
    """
    mean = gram.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    return gram + JITTER * (mean + 1e-6) * eye


def _interior_point(
    gram: Float[Tensor, "*b n n"], linear: Float[Tensor, "*b k n"], total: float
) -> tuple[Float[Tensor, "*b k n"], Bool[Tensor, "*b k n"]]:
    """A point next to the minimiser, and which of its entries are not 0.

    Source for telling them: El-Bakry, Tapia & Zhang 1994, SIAM Review 36, 45-72. In the last steps
    an entry stays as it is and its multiplier vanishes, or the other way round.
    """
    x = torch.full_like(linear, total / linear.shape[-2])
    slope = x @ gram + linear
    scale = (slope.amax((-2, -1), True) - slope.amin((-2, -1), True)).clamp(min=1e-9)
    s = slope - slope.amin(-2, True) + scale  # slope + nu, the multipliers of x >= 0
    free, going = torch.ones_like(x, dtype=torch.bool), torch.ones_like(scale, dtype=torch.bool)
    for _ in range(MOST):
        gap = (x * s).mean((-2, -1), keepdim=True)
        inverse = _inverse(gram[..., None, :, :] + torch.diag_embed(s / x))
        dx, ds = _direction(inverse, x, s, -x * s)  # straight to the end: how much is free?
        t = _longest(x, s, dx, ds)
        ahead = ((x + t * dx) * (s + t * ds)).mean((-2, -1), keepdim=True)
        dx, ds = _direction(inverse, x, s, (ahead / gap) ** 3 * gap - x * s - dx * ds)
        t = 0.999 * _longest(x, s, dx, ds) * going  # of a batch, what is ready waits
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
    """The Newton step of x and s that changes x s by `wanted`, and no sum of x."""
    dx = _solve(inverse, wanted / x)
    return dx, (wanted - s * dx) / x


def _last_step(
    gram: Float[Tensor, "*b n n"],
    linear: Float[Tensor, "*b k n"],
    x: Float[Tensor, "*b k n"],
    moving: Bool[Tensor, "*b k n"],
) -> Float[Tensor, "*b k n"]:
    """One Newton step more, of the entries that can move: it lands on the minimiser.

    The slope is taken in the graph, the step's matrix is not: by the implicit function theorem
    the step then moves with K and L as the minimiser does.
    """
    with torch.no_grad():
        both = moving[..., :, None] & moving[..., None, :]
        matrices = gram[..., None, :, :] * both + torch.diag_embed((~moving).to(gram))
        inverse = _inverse(matrices) * both
    return x - _solve(inverse, x @ gram + linear)


def _solve(
    inverse: Float[Tensor, "*b k n n"], right: Float[Tensor, "*b k n"]
) -> Float[Tensor, "*b k n"]:
    """u with M_j u_j + nu = right_j for each row j, and rows that add up to 0."""
    apart, together = _times(inverse, right), inverse.sum(-3)
    still = together.diagonal(dim1=-2, dim2=-1) == 0  # a column in which nothing moves
    together = together + torch.diag_embed(still.to(together))
    nu = torch.linalg.solve_ex(together, apart.sum(-2)).result
    return apart - _times(inverse, nu[..., None, :])


def _times(matrices: Float[Tensor, "*b k n n"], x: Float[Tensor, "*b #k n"]) -> Tensor:
    return (matrices @ x[..., None])[..., 0]


def _inverse(matrices: Float[Tensor, "*b n n"]) -> Float[Tensor, "*b n n"]:
    # what is not finite must reach the loss, which says so better than the factorisation
    return torch.cholesky_inverse(torch.linalg.cholesky_ex(matrices).L)


def _longest(
    x: Float[Tensor, "*b k n"],
    s: Float[Tensor, "*b k n"],
    dx: Float[Tensor, "*b k n"],
    ds: Float[Tensor, "*b k n"],
) -> Float[Tensor, "*b 1 1"]:
    """The longest step, at most 1, at which nothing is negative."""
    least = torch.minimum((dx / x).amin((-2, -1), True), (ds / s).amin((-2, -1), True))
    return 1 / (-least).clamp(min=1)
