"""Gradient of a meta-batch: in chunks, vectorized by `torch.func.vmap`, or by threads.

On a CPU an episode's tensors are small: threads inside each operator spend much of their time
waiting for each other. `Workers` gives each thread whole episodes, with single-threaded operators;
PyTorch releases the GIL inside them.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from medshot.core import ConfigError, Episode, Examples, Learner, called
from medshot.core.learner import vectorising
from medshot.data.episodes import EpisodeSource
from medshot.training.config import TrainConfig
from medshot.training.device import place_episode
from medshot.training.objective import AuxiliaryLoss, Chunk, MetaObjective, autocast

_STATEFUL = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


def find_vmap_unsafe_module(module: nn.Module) -> str | None:
    """Name and class of the first module with side effects (batch norm, dropout), if any."""
    for name, part in module.named_modules():
        if isinstance(part, _STATEFUL) and getattr(part, "track_running_stats", True):
            return f"{name} ({type(part).__name__})"
    return None


def choose_vmap(objective: MetaObjective, config: TrainConfig, device: torch.device) -> bool:
    """Whether to vectorize the episodes of a step: by default on a GPU, where that is possible.

    Raises:
        ConfigError: it was requested and is not possible.
    """
    why = _why_not(objective, config)
    if config.vectorise and why:
        raise ConfigError(f"{why}. Leave `vectorise` out, or that.")
    wanted = device.type == "cuda" if config.vectorise is None else config.vectorise
    return wanted and why is None


def vmap_backward(objective: MetaObjective, chunks: Sequence[Chunk]) -> float:
    """Mean objective, its gradient accumulated in `.grad`; one vmap for each tensor shape.

    The gradient is taken inside vmap. Taken outside, through an inner gradient and a
    normalization layer, it is silently wrong (PyTorch 2.13; pytorch/functorch issue 534).
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
    objective: MetaObjective, params: Mapping[str, Tensor], chunks: Sequence[Chunk]
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


def _why_not(objective: MetaObjective, config: TrainConfig) -> str | None:
    for part in objective.modules():
        if isinstance(part, Learner | AuxiliaryLoss) and not part.vectorizes:
            return f"{called(part)} has no path for several tasks in one pass"
        if getattr(part, "remat", False):
            return "Rematerialized steps (remat) do not support several tasks in one pass"
    if part := find_vmap_unsafe_module(objective.learner):
        return (
            f"{part} updates statistics or draws random numbers, which several tasks in one pass "
            "would mix up"
        )
    asked = {"bf16": config.bf16, "channels_last": config.channels_last}
    asked["workers"] = config.workers > 1
    names = " and ".join(name for name, on in asked.items() if on)
    return f"{names} cannot be combined with several tasks in one pass" if names else None


def _tensors(chunk: Chunk) -> list[Tensor]:
    return [t for e in chunk for t in (e.support.x, e.support.y, e.query.x, e.query.y)]


def _shape(chunk: Chunk) -> str:
    """Key that is equal for chunks whose tensors can be stacked."""
    return str([(e.task, e.support.x.shape, e.query.x.shape) for e in chunk])


class Workers:
    """`count` threads, each with its own copy of the modules on one shared set of tensors.

    The gradients of a thread are summed in the order of its chunks and then those of the
    threads in their order: bit-exact for a given count.

    Raises:
        ConfigError: the learner draws random numbers or updates batch statistics in training,
            which threads would do in no fixed order.
    """

    def __init__(self, objective: MetaObjective, count: int) -> None:
        _check(objective)
        tensors = {id(t): t for t in (*objective.parameters(), *objective.buffers())}
        # functional_call swaps tensors in a module while it runs: one module for each thread
        self._objectives = [copy.deepcopy(objective, dict(tensors)) for _ in range(count)]
        self._params = [p for p in objective.parameters() if p.requires_grad]
        self._pool = ThreadPoolExecutor(count)

    def backward(self, chunks: Sequence[Chunk], *, bf16: bool = False) -> float:
        """Add the gradient of the mean objective to `.grad`, and return that mean."""
        threads, count = torch.get_num_threads(), len(self._objectives)
        inside = max(1, threads // count)
        shares = [chunks[i::count] for i in range(count)]
        work = [(*pair, inside, bf16) for pair in zip(self._objectives, shares, strict=True)]
        try:
            parts = list(self._pool.map(lambda each: self._part(*each), work))
        finally:
            torch.set_num_threads(threads)
        for _, grads in parts:
            for p, g in zip(self._params, grads, strict=True):
                p.grad = g / len(chunks) if p.grad is None else p.grad + g / len(chunks)
        return sum(loss for loss, _ in parts) / len(chunks)

    def _part(
        self, objective: MetaObjective, chunks: Sequence[Chunk], threads: int, bf16: bool
    ) -> tuple[float, list[Tensor]]:
        torch.set_num_threads(threads)  # the setting is local to each Python thread
        objective.learner.train()
        total = 0.0
        grads = [torch.zeros_like(p) for p in self._params]
        for chunk in chunks:
            with autocast(chunk, bf16):
                loss = objective(chunk)
            found = torch.autograd.grad(loss, self._params, allow_unused=True)
            for g, f in zip(grads, found, strict=True):
                if f is not None:
                    g.add_(f)
            total += loss.item()
        return total, grads


def _check(objective: MetaObjective) -> None:
    if part := find_vmap_unsafe_module(objective.learner):
        raise ConfigError(
            f"{part} updates statistics or draws random numbers, and threads would do so in no "
            "fixed order. Use workers=1."
        )


class Gradient:
    """Gradient of the mean objective over episodes, computed in one of three modes.

    One chunk of episodes after the other; in `one_pass`, except for tasks with masks, whose number
    of labeled pixels varies; or by threads, each with part of the chunks. All three give the same
    gradient up to rounding.
    """

    def __init__(
        self,
        objective: MetaObjective,
        *,
        workers: int = 1,
        one_pass: bool = False,
        bf16: bool = False,
    ) -> None:
        self.objective, self.one_pass, self.bf16 = objective, one_pass, bf16
        self.crew = Workers(objective, workers) if workers > 1 else None

    def backward(self, episodes: Iterable[Episode], count: int) -> float:
        """Mean objective over `count` episodes; its gradient is left in `.grad`."""
        self.objective.learner.train()
        self.objective.learner.zero_grad()
        chunks = self.objective.chunks(episodes)
        if self.crew is not None:
            return self.crew.backward(list(chunks), bf16=self.bf16)
        if self.one_pass:
            chunks = list(chunks)
            if not any(episode.task.on_grid for chunk in chunks for episode in chunk):
                return vmap_backward(self.objective, chunks)
        total = 0.0
        for chunk in chunks:
            with autocast(chunk, self.bf16):
                loss = self.objective(chunk) * len(chunk) / count
            loss.backward()
            total += loss.item()
        return total


@torch.no_grad()
def validate(
    learner: Learner, source: EpisodeSource, numbers: Iterable[int], device: torch.device
) -> float:
    """Sum of the query losses over the episodes `numbers` of `source`."""
    training = learner.training
    learner.eval()
    total = 0.0
    for i in numbers:
        episode = place_episode(source.episode(i), device, False)
        output = learner.learn(episode.support, episode.task)(episode.query.x)
        total += episode.task.loss(output, episode.query.y).item()
    learner.train(training)
    return total
