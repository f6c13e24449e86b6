"""Take steps on parameters without touching the module that owns them."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from medshot.inner.rule import Here, Params, State, UpdateRule

Loss = Callable[[Params], Tensor]


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
    params: Params, loss: Loss, rule: UpdateRule, *, steps: int, first_order: bool = False
) -> Iterator[Params]:
    """The parameters after 0, 1, ..., `steps` updates, as `unroll` takes them."""
    graph = torch.is_grad_enabled()
    state = rule.init(params)
    params = {
        name: p if graph and p.requires_grad else p.detach().requires_grad_()
        for name, p in params.items()
    }
    yield _given(params, graph)
    for _ in range(steps):
        params, state = take_step(params, state, loss, rule, graph, graph and not first_order)
        yield _given(params, graph)


def take_step(
    params: Params, state: State, loss: Loss, rule: UpdateRule, graph: bool, exact: bool
) -> tuple[Params, State]:
    """One update; with `graph` it is recorded, with `exact` the inner gradient too."""
    with torch.enable_grad():  # adapting is learning: it needs gradients even under no_grad
        value = loss(params)
        grads = torch.autograd.grad(
            value, list(params.values()), create_graph=exact, materialize_grads=True
        )
    with torch.set_grad_enabled(graph):
        here = Here(params, value if exact else value.detach())
        updates, state = rule.update(dict(zip(params, grads, strict=True)), state, here)
        params = {name: p + updates[name] for name, p in params.items()}
    if not graph:
        params = {name: p.requires_grad_() for name, p in params.items()}
    return params, state


def _given(params: Params, graph: bool) -> Params:
    return params if graph else {name: p.detach() for name, p in params.items()}
