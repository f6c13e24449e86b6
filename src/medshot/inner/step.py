"""One step on parameters, without touching the module that owns them."""

from collections.abc import Callable

import torch
from torch import Tensor

from medshot.core.vectorise import vectorised
from medshot.inner.rule import Here, Params, State, UpdateRule

Loss = Callable[[Params], Tensor]


def take_step(
    params: Params, state: State, loss: Loss, rule: UpdateRule, graph: bool, exact: bool
) -> tuple[Params, State]:
    """One update; with `graph` it is recorded, with `exact` the inner gradient too."""
    grads, value = (_mapped_gradient if vectorised() else _gradient)(params, loss, exact)
    with torch.set_grad_enabled(graph):
        updates, state = rule.update(grads, state, Here(params, value))
        params = {name: p + updates[name] for name, p in params.items()}
    return (params if graph else begun(params, graph)), state


def begun(params: Params, graph: bool) -> Params:
    """`params` so that a gradient by each can be taken, and with `graph` goes on through it."""
    if vectorised():  # there, gradients are taken of functions, not by tensors that ask for them
        return {name: p if graph else p.detach() for name, p in params.items()}
    return {
        name: p if graph and p.requires_grad else p.detach().requires_grad_()
        for name, p in params.items()
    }


def _gradient(params: Params, loss: Loss, exact: bool) -> tuple[Params, Tensor]:
    with torch.enable_grad():  # adapting is learning: it needs gradients even under no_grad
        value = loss(params)
        grads = torch.autograd.grad(
            value, list(params.values()), create_graph=exact, materialize_grads=True
        )
    return dict(zip(params, grads, strict=True)), value if exact else value.detach()


def _mapped_gradient(params: Params, loss: Loss, exact: bool) -> tuple[Params, Tensor]:
    """The same for all tasks in one pass, where `torch.autograd.grad` cannot be used."""
    with torch.set_grad_enabled(exact):
        return torch.func.grad_and_value(loss)(dict(params))
