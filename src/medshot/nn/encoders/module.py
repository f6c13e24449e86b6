"""Any network as an encoder: what it gives is found by showing it empty images."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.predictor import any_tensor, eval_mode
from medshot.core.registry import part
from medshot.nn.encoder import Encoder
from medshot.nn.encoders.external import TOKENS, first_of

SIZES = (64, 224, 32, 28, 96, 128, 256, 384, 512)  # pixels a side, as they are tried
FAILS = (RuntimeError, ValueError, TypeError, AssertionError, IndexError)


@part("module", "any-network")
class AnyNetwork(Encoder):
    """The features of a network `net` that takes images in [0, 1] of `channels` channels.

    A map smaller than the image, and the tokens of a transformer, are averaged; a map of the
    image's size is kept, a row of features a pixel. Images may have any size where `size` is None.

    A predictor on it can be saved if `net` is a registered part (`@medshot.part`).
    """

    def __init__(
        self, net: nn.Module, *, channels: int, size: int | None, n_features: int, keeps_grid: bool
    ) -> None:
        super().__init__(channels, size, "unit")
        self.net, self.n_features = net, n_features
        self.keeps_grid = keeps_grid  # type: ignore[misc]  (of each network)

    def inner(self) -> nn.Module:
        """The network itself."""
        return self.net

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n f *t"]:
        """The features of images in [0, 1]."""
        z = first_of(self.net(self.scaled(x)))
        if z.ndim == TOKENS:
            return z.mean(1)
        return z if self.keeps_grid or z.ndim == 2 else z.mean((2, 3))


def as_encoder(module: nn.Module) -> nn.Module:
    """`module`, with the form of its images and features found where it does not say them.

    A module that names its `n_features` says what it takes itself. Of any other, the number of
    channels is that of its first convolution, and sizes are tried until one passes; where a second
    one gives as many features, any size will do. What takes no images at all is left as it is.
    """
    if hasattr(module, "n_features") or isinstance(module, nn.Identity):
        return module
    found: list[tuple[int, int, int, bool]] = []
    for channels, size, z in _tried(module):
        if found and channels != found[0][0]:
            break
        axis = 2 if z.ndim == TOKENS else 1
        found.append((channels, size, z.shape[axis], z.shape[2:] == (size, size)))
        if len(found) == 2:
            break
    if not found:
        return module
    channels, size, n, keeps = found[0]
    free = len(found) == 2 and found[1][2] == n
    form = {"channels": channels, "size": None if free else size}
    return AnyNetwork(module, **form, n_features=n, keeps_grid=keeps).eval()


def _tried(module: nn.Module) -> Iterator[tuple[int, int, Tensor]]:
    """Channels, size and features of empty images that pass."""
    like = any_tensor(module)
    said = [m.in_channels for m in module.modules() if isinstance(m, nn.Conv2d)][:1]
    for channels in said or (3, 1):
        for size in SIZES:
            try:
                with torch.no_grad(), eval_mode(module):
                    z = first_of(module(torch.zeros(1, channels, size, size).to(like)))
            except FAILS:
                continue
            if isinstance(z, Tensor) and z.ndim in (2, TOKENS, 4):
                yield channels, size, z
