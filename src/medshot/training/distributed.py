"""Data-parallel meta-training: each process takes part of the episodes, gradients are averaged.

Started by torchrun, on one machine or several that see the same folders:

    torchrun --nproc-per-node 4 -m medshot train maml --meta-batch 32 --data skin/ --out runs/maml

Gradients are averaged by a plain all-reduce, so that every process takes the same step. Only the
first writes. Without torchrun there is a single process and no communication.
"""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from medshot.core import ConfigError, TrainingError


@dataclass(frozen=True)
class Processes:
    """This process and the process group that trains one learner."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes files and shows progress."""
        return self.rank == 0

    def share(self, meta_batch: int) -> int:
        """Number of episodes of a step that this process takes.

        Raises:
            ConfigError: they cannot be divided evenly.
        """
        if meta_batch % self.size:
            raise ConfigError(
                f"{self.size} processes cannot share {meta_batch} episode(s) a step evenly. Make "
                f"meta_batch a multiple of {self.size}."
            )
        return meta_batch // self.size

    def indices(self, step: int, meta_batch: int) -> range:
        """Indices of this process's episodes of a step."""
        share = self.share(meta_batch)
        begin = step * meta_batch + self.rank * share
        return range(begin, begin + share)

    def part(self, count: int) -> range:
        """This process's part of the numbers 0 ... `count` - 1."""
        return range(self.rank, count, self.size)

    def sum(self, value: float) -> float:
        """The sum of `value` over the processes."""
        if self.size == 1:
            return value
        return _mean([torch.tensor(value, device=self.device)], self.size)[0].item() * self.size

    def alike(self, learner: nn.Module) -> None:
        """Broadcast weights and buffers from rank 0."""
        if self.size > 1:
            for tensor in (*learner.parameters(), *learner.buffers()):
                dist.broadcast(tensor.detach(), 0)

    def average(self, learner: nn.Module, loss: float) -> float:
        """Average gradients and floating buffers over the processes; the mean of `loss`.

        Raises:
            TrainingError: another process was lost.
        """
        if self.size == 1:
            return loss
        moving = [p for p in learner.parameters() if p.requires_grad]
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in moving]
        kept = [b for b in learner.buffers() if b.is_floating_point()]
        total = _mean([*grads, *kept, grads[0].new_tensor(loss)], self.size)
        for p, mean in zip(moving, total, strict=False):
            p.grad = mean
        for buffer, mean in zip(kept, total[len(moving) :], strict=False):
            buffer.copy_(mean)
        return total[-1].item()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Run the block on rank 0 first, then on the others."""
        if self.size > 1 and not self.first:
            _wait()
        yield
        if self.size > 1 and self.first:
            _wait()


@contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Join the process group if torchrun started several processes; leave it at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    ours = not dist.is_initialized()
    if ours:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        with _report_sigterm():
            yield Processes(dist.get_rank(), dist.get_world_size(), str(device))
            if ours:
                _wait()  # a process that leaves early would look lost to the others
    finally:
        if ours:
            dist.destroy_process_group()


@contextmanager
def _report_sigterm() -> Iterator[None]:
    """Turn torchrun's SIGTERM, sent when a process was lost, into an error that says so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> None:
        del number, frame
        raise _lost("this process was terminated, probably by torchrun")

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _mean(tensors: Sequence[Tensor], size: int) -> list[Tensor]:
    flat = torch.cat([t.detach().reshape(-1).to(tensors[0]) for t in tensors])
    try:
        dist.all_reduce(flat)
    except RuntimeError as error:
        raise _lost(error) from error
    parts = (flat / size).split([t.numel() for t in tensors])
    return [part.view_as(t).to(t) for part, t in zip(parts, tensors, strict=True)]


def _wait() -> None:
    try:
        dist.barrier()
    except RuntimeError as error:
        raise _lost(error) from error


def _lost(how: object) -> TrainingError:
    return TrainingError(
        f"Another process of this run was lost ({str(how).splitlines()[0][:120]}). The last "
        "checkpoint is kept: repeat the same command to resume from it."
    )
