"""The gradients of all tasks of a step in one pass, by `torch.func.vmap`."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap

from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.core.registry import called
from medshot.core.vmap import vectorising
from medshot.training.objective import Chunk, Objective
from medshot.training.settings import Settings
from medshot.training.stateful import stateful_part
from medshot.training.terms.term import Term


def choose_one_pass(objective: Objective, settings: Settings, device: torch.device) -> bool:
    """Whether the tasks of a step go in one pass: by default on a GPU, where that is possible.

    Raises:
        ConfigError: it is asked for, and not possible.
    """
    why = _why_not(objective, settings)
    if settings.vectorise and why:
        raise ConfigError(f"{why}. Leave `vectorise` out, or that.")
    wanted = device.type == "cuda" if settings.vectorise is None else settings.vectorise
    return wanted and why is None


def backward_in_one_pass(objective: Objective, chunks: Sequence[Chunk]) -> float:
    """The mean objective; its gradient is left in the parameters. Each shape goes by itself.

    The gradient is taken inside the map. One taken outside, through an inner gradient and a
    normalisation, is wrong without a word (PyTorch 2.13; pytorch/functorch issue 534).
    """
    params = {n: p for n, p in objective.named_parameters() if p.requires_grad}
    total = 0.0
    for _, alike in groupby(sorted(chunks, key=_shape), _shape):
        grads, value = _pass(objective, params, list(alike))
        total += value / len(chunks)
        for name, p in params.items():
            g = grads[name].sum(0) / len(chunks)
            p.grad = g if p.grad is None else p.grad + g
    return total


def _pass(
    objective: Objective, params: Mapping[str, Tensor], chunks: Sequence[Chunk]
) -> tuple[dict[str, Tensor], float]:
    tasks = [episode.task for episode in chunks[0]]
    stacked = [torch.stack(alike) for alike in zip(*map(_tensors, chunks), strict=True)]

    def one(params: Mapping[str, Tensor], *tensors: Tensor) -> Tensor:
        parts = zip(tasks, *(tensors[i::4] for i in range(4)), strict=True)
        chunk = [Episode(t, Examples(a, b), Examples(c, d)) for t, a, b, c, d in parts]
        return functional_call(objective, dict(params), (chunk,))

    mapped = vmap(grad_and_value(one), (None, *[0] * len(stacked)), randomness="different")
    with vectorising():
        grads, values = mapped(dict(params), *stacked)
    return {n: g.detach() for n, g in grads.items()}, values.sum().item()


def _why_not(objective: Objective, settings: Settings) -> str | None:
    for part in objective.modules():
        if isinstance(part, Learner | Term) and not part.vectorises:
            return f"{called(part)} has no path for several tasks in one pass"
        if getattr(part, "remat", False):
            return "Steps that are taken again (remat) cannot go for several tasks in one pass"
    if part := stateful_part(objective.learner):
        return f"{part} changes or draws as it learns, and several tasks in one pass would mix that"
    asked = {"bf16": settings.bf16, "channels_last": settings.channels_last}
    asked["workers"] = settings.workers > 1
    names = " and ".join(name for name, on in asked.items() if on)
    return f"{names} cannot be had with several tasks in one pass" if names else None


def _tensors(chunk: Chunk) -> list[Tensor]:
    return [t for e in chunk for t in (e.support.x, e.support.y, e.query.x, e.query.y)]


def _shape(chunk: Chunk) -> str:
    """The same for chunks whose tensors can be stacked."""
    return str([(e.task, e.support.x.shape, e.query.x.shape) for e in chunk])
