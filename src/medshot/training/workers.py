"""The meta-gradient of a meta-batch, its episodes shared out among threads.

On a CPU an episode's tensors are small: threads inside each operator spend much of their time
waiting for each other. Here each thread takes whole episodes, with one core's worth of operators,
and PyTorch lets go of the interpreter inside them.
"""

import contextlib
import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from medshot.core.episode import Episode
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner

_UNSAFE = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


class Workers:
    """`count` threads, each with its own modules around the learner's one set of tensors.

    The gradients of a thread are summed in the order of its episodes and then those of the
    threads in their order: with the same count, the same bits.

    Raises:
        ConfigError: the learner draws random numbers or keeps batch statistics as it learns, and
            threads would do so in no fixed order.
    """

    def __init__(self, learner: Learner, count: int) -> None:
        _check(learner)
        tensors = {id(t): t for t in (*learner.parameters(), *learner.buffers())}
        # functional_call swaps tensors in a module while it runs: one module a thread
        self._learners = [copy.deepcopy(learner, dict(tensors)) for _ in range(count)]
        self._params = [p for p in learner.parameters() if p.requires_grad]
        self._pool = ThreadPoolExecutor(count)

    def backward(self, episodes: Sequence[Episode], *, bf16: bool = False) -> float:
        """Add the gradient of the mean meta-loss to `.grad`, and return that loss."""
        threads, count = torch.get_num_threads(), len(self._learners)
        inside = max(1, threads // count)
        shares = [episodes[i::count] for i in range(count)]
        work = [(*pair, inside, bf16) for pair in zip(self._learners, shares, strict=True)]
        try:
            parts = list(self._pool.map(lambda each: self._part(*each), work))
        finally:
            torch.set_num_threads(threads)
        for _, grads in parts:
            for p, g in zip(self._params, grads, strict=True):
                p.grad = g / len(episodes) if p.grad is None else p.grad + g / len(episodes)
        return sum(loss for loss, _ in parts) / len(episodes)

    def _part(
        self, learner: Learner, episodes: Sequence[Episode], threads: int, bf16: bool
    ) -> tuple[float, list[Tensor]]:
        torch.set_num_threads(threads)  # each thread of Python has its own number
        learner.train()
        total = 0.0
        grads = [torch.zeros_like(p) for p in self._params]
        for episode in episodes:
            kind = episode.support.x.device.type
            with torch.autocast(kind, torch.bfloat16) if bf16 else contextlib.nullcontext():
                loss = learner.meta_loss(episode)
            found = torch.autograd.grad(loss, self._params, allow_unused=True)
            for g, f in zip(grads, found, strict=True):
                if f is not None:
                    g.add_(f)
            total += loss.item()
        return total, grads


def _check(learner: Learner) -> None:
    for name, module in learner.named_modules():
        if isinstance(module, _UNSAFE) and getattr(module, "track_running_stats", True):
            raise ConfigError(
                f"{name} ({type(module).__name__}) changes or draws as it learns, and threads "
                "would do so in no fixed order. Use workers=1."
            )
