"""Implicit differentiation: gradient of the inner solution without its path."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.inner.rules import Params
from medshot.inner.unroll import Loss

Product = Callable[[Tensor], Tensor]


def pulled(loss: Loss, start: Params, pull: float) -> Loss:
    """Proximal loss: `loss` plus `pull` / 2 times the squared distance from `start`, detached."""
    held = {name: p.detach() for name, p in start.items()}

    def total(params: Params) -> Tensor:
        squared = [(params[name] - p).square().sum() for name, p in held.items()]
        return loss(params) + pull / 2 * torch.stack(squared).sum()

    return total


def implicit(
    start: Params, end: Params, loss: Loss, *, pull: float, solver_steps: int, damping: float = 0.0
) -> Params:
    """`end`, a minimum of the proximal loss, with its derivative with respect to `start`.

    Source: Rajeswaran et al. 2019, arXiv:1909.04630, lemma 1: at the minimum the Jacobian is
    (I + H / pull)^-1, with H the Hessian of `loss`. The backward pass solves
    (I + H / (pull + damping)) v = g by `solver_steps` of conjugate gradients. The optimization
    path is not stored. Where the curvature of the loss is below -`pull`, the undamped system is
    not positive definite and its solution is meaningless; more damping approaches the first-order
    gradient.
    """
    context = loss, list(start), [p.detach() for p in end.values()], pull, solver_steps, damping
    values: Sequence[Tensor] = _Implicit.apply(context, *start.values())  # pyright: ignore
    return dict(zip(start, values, strict=True))


class _Implicit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, context: tuple, *start: Tensor) -> tuple[Tensor, ...]:
        ctx.context = context
        return tuple(p.clone() for p in context[2])

    @staticmethod
    def backward(ctx: Any, *g: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        loss, names, end, pull, solver_steps, damping = ctx.context
        with torch.enable_grad():
            end = [p.requires_grad_() for p in end]
            value = loss(dict(zip(names, end, strict=True)))
            slope = torch.autograd.grad(value, end, create_graph=True, materialize_grads=True)

        def product(v: Tensor) -> Tensor:
            hv = torch.autograd.grad(
                slope, end, _like(v, end), retain_graph=True, materialize_grads=True
            )
            return v + _flat(hv) / (pull + damping)

        return None, *_like(conjugate_gradients(product, _flat(g), solver_steps), end)


def conjugate_gradients(
    product: Product, b: Float[Tensor, "n"], steps: int, tolerance: float = 1e-20
) -> Float[Tensor, "n"]:
    """Solve A x = b for the symmetric positive definite A applied by `product`.

    Source: Hestenes & Stiefel 1952, J. Res. Natl. Bur. Stand. 49, 409-436.
    """
    x, residual = torch.zeros_like(b), b.clone()
    direction, size = residual, residual @ residual
    enough = tolerance * size
    for _ in range(steps):
        if size <= enough:
            break
        along = product(direction)
        step = size / (direction @ along)
        x, residual = x + step * direction, residual - step * along
        before, size = size, residual @ residual
        direction = residual + size / before * direction
    return x


def _flat(parts: Sequence[Tensor]) -> Float[Tensor, "n"]:
    return torch.cat([p.reshape(-1) for p in parts])


def _like(v: Float[Tensor, "n"], parts: Sequence[Tensor]) -> list[Tensor]:
    pieces = v.split([p.numel() for p in parts])
    return [piece.view(p.shape) for piece, p in zip(pieces, parts, strict=True)]
