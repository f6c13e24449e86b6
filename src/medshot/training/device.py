"""Where to compute."""

import torch
from torch import nn

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
        return torch.zeros((), device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"There is no device {name!r} here. Use `auto` or `cpu`.") from error


def place(module: nn.Module, device: torch.device, channels_last: bool) -> None:
    """Move `module` there; `channels_last` lays its convolutions out pixel by pixel."""
    module.to(device)
    if channels_last:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
