"""Take steps on parameters without touching the module that owns them."""

from collections.abc import Callable

import torch
from torch import Tensor

from medshot.inner.rule import Params, UpdateRule

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
    graph = torch.is_grad_enabled()
    state = rule.init(params)
    params = {
        name: p if graph and p.requires_grad else p.detach().requires_grad_()
        for name, p in params.items()
    }
    for _ in range(steps):
        with torch.enable_grad():  # adapting is learning: it needs gradients even under no_grad
            value = loss(params)
            order = graph and not first_order
            grads = torch.autograd.grad(
                value, list(params.values()), create_graph=order, materialize_grads=True
            )
        with torch.set_grad_enabled(graph):
            updates, state = rule.update(dict(zip(params, grads, strict=True)), state)
            params = {name: p + updates[name] for name, p in params.items()}
        if not graph:
            params = {name: p.requires_grad_() for name, p in params.items()}
    return params if graph else {name: p.detach() for name, p in params.items()}
