"""Inner-loop optimization: unrolled, rematerialized, or differentiated implicitly.

Steps are taken on parameters without modifying the module that owns them. They are unrolled, or
recomputed in the backward pass (rematerialization), so that memory does not grow with their
number; implicit differentiation gives the gradient of the inner solution without its path.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils import _pytree as tree

from medshot.core.learner import vectorised
from medshot.inner.rules import GradientContext, Params, State, UpdateRule

Loss = Callable[[Params], Tensor]


def take_step(
    params: Params, state: State, loss: Loss, rule: UpdateRule, graph: bool, exact: bool
) -> tuple[Params, State]:
    """One update; `graph` records it for autograd, `exact` also the inner gradient."""
    grads, value = (_mapped_gradient if vectorised() else _gradient)(params, loss, exact)
    with torch.set_grad_enabled(graph):
        updates, state = rule.update(grads, state, GradientContext(params, value))
        params = {name: p + updates[name] for name, p in params.items()}
    return (params if graph else begun(params, graph)), state


def begun(params: Params, graph: bool) -> Params:
    """Prepare `params` for differentiation; `graph` keeps their autograd graph."""
    if vectorised():  # torch.func needs no requires_grad
        return {name: p if graph else p.detach() for name, p in params.items()}
    return {
        name: p if graph and p.requires_grad else p.detach().requires_grad_()
        for name, p in params.items()
    }


def _gradient(params: Params, loss: Loss, exact: bool) -> tuple[Params, Tensor]:
    with torch.enable_grad():  # the inner loop needs gradients even under no_grad
        value = loss(params)
        grads = torch.autograd.grad(
            value, list(params.values()), create_graph=exact, materialize_grads=True
        )
    return dict(zip(params, grads, strict=True)), value if exact else value.detach()


def _mapped_gradient(params: Params, loss: Loss, exact: bool) -> tuple[Params, Tensor]:
    """The same under vmap, where `torch.autograd.grad` is not available."""
    with torch.set_grad_enabled(exact):
        return torch.func.grad_and_value(loss)(dict(params))


Again = Callable[[Sequence[Tensor], bool], tuple[Tensor, ...]]


def checkpointed_step(
    params: Params, state: State, loss: Loss, rule: UpdateRule, exact: bool, captured: list[Tensor]
) -> tuple[Params, State]:
    """`take_step` with only its result stored; the backward pass recomputes it.

    Source: Chen et al. 2016, arXiv:1604.06174 (gradient checkpointing), where a segment is an
    inner step with its gradient.

    `captured` must list all tensors other than `params` and `state` that need a gradient: a rule's
    learning rates, and learned tensors that `loss` reads. A tensor left out gets no gradient.
    """
    found, shape = tree.tree_flatten((dict(params), state))
    moving = [i for i, leaf in enumerate(found) if isinstance(leaf, Tensor)]
    ends: list[Any] = []

    def again(values: Sequence[Tensor], graph: bool) -> tuple[Tensor, ...]:
        leaves = list(found)
        for i, value in zip(moving, values, strict=False):
            leaves[i] = value
        here, before = tree.tree_unflatten(leaves, shape)
        end = take_step(here, before, loss, rule, graph, graph and exact)
        after = tree.tree_flatten((dict(end[0]), end[1]))
        if not graph:  # in the backward pass this would keep the whole step alive
            ends[:] = after
        return tuple(leaf for leaf in after[0] if isinstance(leaf, Tensor))

    values = _Forgetful.apply(again, len(moving), *(found[i] for i in moving), *captured)
    kept = iter(values)  # type: ignore[arg-type]
    leaves = [next(kept) if isinstance(leaf, Tensor) else leaf for leaf in ends[0]]
    return tree.tree_unflatten(leaves, ends[1])


class _Forgetful(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, again: Again, n: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.again, ctx.n = again, n
        ctx.save_for_backward(*tensors)
        here = [t.detach().requires_grad_(t.is_floating_point()) for t in tensors[:n]]
        with torch.no_grad():
            return tuple(t.detach() for t in again(here, False))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        tensors = ctx.saved_tensors
        here = [t.detach().requires_grad_(t.is_floating_point()) for t in tensors[: ctx.n]]
        with torch.enable_grad():
            ends = ctx.again(here, True)
        reached = [(e, g) for e, g in zip(ends, grads, strict=True) if e.requires_grad]
        sources = [t for t in (*here, *tensors[ctx.n :]) if t.requires_grad]
        found = torch.autograd.grad(
            [e for e, _ in reached], sources, [g for _, g in reached], allow_unused=True
        )
        by_id = {id(s): g for s, g in zip(sources, found, strict=True)}
        return None, None, *(by_id.get(id(t)) for t in (*here, *tensors[ctx.n :]))


def unroll(
    params: Params, loss: Loss, rule: UpdateRule, *, steps: int, first_order: bool = False
) -> Params:
    """Parameters after `steps` updates on `loss`.

    Gradients flow through the result to the initial `params` and the rule; with `first_order`
    not through the inner gradients. Under `no_grad` nothing is recorded. All `params` are updated,
    including those that do not require gradients and those that the loss does not depend on.
    """
    *_, end = path(params, loss, rule, steps=steps, first_order=first_order)
    return end


def path(
    params: Params,
    loss: Loss,
    rule: UpdateRule,
    *,
    steps: int,
    first_order: bool = False,
    captured: list[Tensor] | None = None,
) -> Iterator[Params]:
    """Parameters after 0, 1, ..., `steps` updates, as in `unroll`.

    With `captured`, steps are recomputed in the backward pass: see `checkpointed_step`.
    """
    graph = torch.is_grad_enabled()
    state = rule.init(params)
    params = begun(params, graph)
    yield _given(params, graph)
    for _ in range(steps):
        if graph and captured is not None:
            params, state = checkpointed_step(params, state, loss, rule, not first_order, captured)
        else:
            params, state = take_step(params, state, loss, rule, graph, graph and not first_order)
        yield _given(params, graph)


def _given(params: Params, graph: bool) -> Params:
    return params if graph else {name: p.detach() for name, p in params.items()}


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
