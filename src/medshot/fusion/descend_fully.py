"""Minimise a smooth function of few numbers, to the end and without chance."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

STEPS = 100


def minimise(loss: Callable[[], Tensor], moving: Sequence[Tensor]) -> None:
    """Move these tensors to where `loss` is smallest: L-BFGS with a line search."""
    for tensor in moving:
        tensor.requires_grad_(True)
    optimizer = torch.optim.LBFGS(list(moving), max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        found = loss()
        found.backward()
        return found

    with torch.enable_grad():
        optimizer.step(closure)
    for tensor in moving:
        tensor.requires_grad_(False)
