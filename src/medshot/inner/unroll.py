"""Take steps on parameters without touching the module that owns them."""

from collections.abc import Iterator

import torch
from torch import Tensor

from medshot.inner.remat import forgetful_step
from medshot.inner.rule import Params, UpdateRule
from medshot.inner.step import Loss, begun, take_step


def unroll(
    params: Params, loss: Loss, rule: UpdateRule, *, steps: int, first_order: bool = False
) -> Params:
    """The parameters after `steps` updates on `loss`.

    Gradients reach the starting `params` and the rule through the result; with `first_order`
    they do not pass through the inner gradients. Where no gradient is wanted (`no_grad`),
    none is recorded from step to step, and the result holds no graph. All `params` move, also
    those that ask for no gradient themselves and those that the loss does not depend on.
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
    """The parameters after 0, 1, ..., `steps` updates, as `unroll` takes them.

    With `captured`, steps are not recorded but taken again backwards: see `medshot.inner.remat`.
    """
    graph = torch.is_grad_enabled()
    state = rule.init(params)
    params = begun(params, graph)
    yield _given(params, graph)
    for _ in range(steps):
        if graph and captured is not None:
            params, state = forgetful_step(params, state, loss, rule, not first_order, captured)
        else:
            params, state = take_step(params, state, loss, rule, graph, graph and not first_order)
        yield _given(params, graph)


def _given(params: Params, graph: bool) -> Params:
    return params if graph else {name: p.detach() for name, p in params.items()}
