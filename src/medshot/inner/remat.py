"""Inner steps that are forgotten and taken again: memory that does not grow with their number."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils import _pytree as tree

from medshot.inner.rule import Params, State, UpdateRule
from medshot.inner.step import Loss, take_step

Again = Callable[[Sequence[Tensor], bool], tuple[Tensor, ...]]


def forgetful_step(
    params: Params, state: State, loss: Loss, rule: UpdateRule, exact: bool, captured: list[Tensor]
) -> tuple[Params, State]:
    """`take_step`, of which only the end is kept; backwards, it is taken again.

    Source: Chen et al. 2016, arXiv:1604.06174 (trading computation for memory), here a segment is
    an inner step with its gradient. Forwards, nothing is recorded; backwards, one step at a time.

    `captured` are all tensors besides `params` and `state` through which a gradient has to flow: a
    rule's rates, whatever else `loss` reads that is learnt. One that is left out gets no gradient.
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
        if not graph:  # backwards, what is kept here would keep the whole step
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
