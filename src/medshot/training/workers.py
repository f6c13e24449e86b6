"""The meta-gradient of a meta-batch, its episodes shared out among threads.

On a CPU an episode's tensors are small: threads inside each operator spend much of their time
waiting for each other. Here each thread takes whole episodes, with one core's worth of operators,
and PyTorch lets go of the interpreter inside them.
"""

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from medshot.core.errors import ConfigError
from medshot.training.objective import Chunk, Objective, autocast
from medshot.training.stateful import stateful_part


class Workers:
    """`count` threads, each with its own modules around the objective's one set of tensors.

    The gradients of a thread are summed in the order of its chunks and then those of the
    threads in their order: with the same count, the same bits.

    Raises:
        ConfigError: the learner draws random numbers or keeps batch statistics as it learns, and
            threads would do so in no fixed order.
    """

    def __init__(self, objective: Objective, count: int) -> None:
        _check(objective)
        tensors = {id(t): t for t in (*objective.parameters(), *objective.buffers())}
        # functional_call swaps tensors in a module while it runs: one module a thread
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
        self, objective: Objective, chunks: Sequence[Chunk], threads: int, bf16: bool
    ) -> tuple[float, list[Tensor]]:
        torch.set_num_threads(threads)  # each thread of Python has its own number
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


def _check(objective: Objective) -> None:
    if part := stateful_part(objective.learner):
        raise ConfigError(
            f"{part} changes or draws as it learns, and threads would do so in no fixed order. "
            "Use workers=1."
        )
