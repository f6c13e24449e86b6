"""Device and number of threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """The device called `name`; `auto` is a GPU if there is one, else the CPU.

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
    """Move `module` there; `channels_last` lays its convolutions out pixel by pixel."""
    module.to(device)
    if channels_last:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def place_episode(episode: Episode, device: torch.device, channels_last: bool) -> Episode:
    """`episode` there, its images in the layout of a module that was placed likewise."""
    like = torch.zeros((), device=device)
    support, query = episode.support.to(like), episode.query.to(like)
    if channels_last and support.x.ndim == 4:
        support, query = _channels_last(support), _channels_last(query)
    return Episode(episode.task, support, query)


def _channels_last(examples: Examples) -> Examples:
    return replace(examples, x=examples.x.contiguous(memory_format=torch.channels_last))


@contextmanager
def limit_threads(threads: int = 1) -> Iterator[None]:
    """Within the block, so many threads an operation: 1, if not told.

    Tensors of a few small images are small: threads that share one operation wait for each other
    longer than they work. On two cores that others used too, two threads took 1.2 to 8 times the
    processor's time of one, and were slower in each of eight networks, a ResNet-50 among them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
