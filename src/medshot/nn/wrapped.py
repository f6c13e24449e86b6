"""A network that somebody else wrote, as an encoder."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import ConfigError
from medshot.core.predictor import eval_mode
from medshot.nn.encoder import Encoder

TOKENS = 3  # axes of what a transformer gives: n t f


class Wrapped(Encoder):
    """The features of a network `net` of a library.

    Where the network gives a map of the size of the image, this is an encoder that keeps the grid;
    a smaller map, or the tokens of a transformer, are averaged. Which it is, and how many features
    there are, is found by showing it one empty image.

    Raises:
        ConfigError: the network does not take such images, or gives nothing like features.
    """

    def __init__(self, net: nn.Module, channels: int, size: int, scaling: str, name: str) -> None:
        super().__init__(channels, size, scaling)
        self.net = net
        try:
            with torch.no_grad(), eval_mode(net):
                z = _first(net(torch.zeros(1, channels, size, size)))
        except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
            raise ConfigError(
                f"{name} does not take images of {channels} x {size} x {size} ({_line(error)}). "
                "Take another size, --set encoder.size=224 for one."
            ) from error
        if not isinstance(z, Tensor) or z.ndim not in (2, TOKENS, 4):
            raise ConfigError(f"{name} gives no features of images: it cannot be an encoder.")
        self.keeps_grid = z.shape[2:] == (size, size)  # type: ignore[misc]  (of each network)
        self.n_features = z.shape[2] if z.ndim == TOKENS else z.shape[1]

    def inner(self) -> nn.Module:
        """The network as its library knows it."""
        return self.net

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f *t"]:
        """The features of images in [0, 1]."""
        z = _first(self.net(self.scaled(x)))
        if z.ndim == TOKENS:
            return z.mean(1)
        return z if self.keeps_grid or z.ndim == 2 else z.mean((2, 3))


def _first(output: Any) -> Any:
    """Some networks give more than their answer; that comes first."""
    return output[0] if isinstance(output, tuple | list) else output


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
