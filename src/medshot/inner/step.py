"""One step on parameters, without touching the module that owns them."""

from collections.abc import Callable

import torch
from torch import Tensor

from medshot.inner.rule import Here, Params, State, UpdateRule

Loss = Callable[[Params], Tensor]


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
