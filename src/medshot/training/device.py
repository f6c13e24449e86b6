"""Device and number of threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from medshot.core import ConfigError, Episode, Examples


def choose_device(name: str) -> torch.device:
    """The device named `name`; `auto` is a GPU if there is one, else the CPU.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.zeros((), device=name)
        found.item()  # the device `meta` has no values
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ConfigError(f"There is no device {name!r} here. Use `auto` or `cpu`.") from error
    return found.device


def place(module: nn.Module, device: torch.device, channels_last: bool) -> None:
    """Move `module` to `device`, optionally in torch's channels_last memory format."""
    module.to(device)
    if channels_last:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def place_episode(episode: Episode, device: torch.device, channels_last: bool) -> Episode:
    """Move `episode` to `device`, its images in the memory format that `place` gives a module."""
    like = torch.zeros((), device=device)
    support, query = episode.support.to(like), episode.query.to(like)
    if channels_last and support.x.ndim == 4:
        support, query = _channels_last(support), _channels_last(query)
    return Episode(episode.task, support, query)


def _channels_last(examples: Examples) -> Examples:
    return replace(examples, x=examples.x.contiguous(memory_format=torch.channels_last))


@contextmanager
def limit_threads(threads: int = 1) -> Iterator[None]:
    """Limit intra-op threads within the block; default 1.

    For a few small images, threads that share one operation wait for each other longer than they
    work. On two shared cores, two threads took 1.2 to 8 times the CPU time of one, and were slower
    for each of eight networks, a ResNet-50 among them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
