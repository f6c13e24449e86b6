"""Any network as an encoder: its output format is probed with empty images."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import any_tensor, eval_mode, part
from medshot.nn.encoder import Encoder
from medshot.nn.encoders.external import TOKENS, first_of

SIZES = (64, 224, 32, 28, 96, 128, 256, 384, 512)  # side lengths in pixels, in order of trial
FAILS = (RuntimeError, ValueError, TypeError, AssertionError, IndexError)


@part("module", "any-network")
class AnyNetwork(Encoder):
    """Encoder around a network `net` for images in [0, 1] with `channels` channels.

    Maps smaller than the image, and transformer tokens, are averaged; a map of the image's size is
    kept, one feature vector per pixel. With `size` None, images may have any size.

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
        """Features of images in [0, 1]."""
        z = first_of(self.net(self.scaled(x)))
        if z.ndim == TOKENS:
            return z.mean(1)
        return z if self.keeps_grid or z.ndim == 2 else z.mean((2, 3))


def as_encoder(module: nn.Module) -> nn.Module:
    """Wrap `module` as an encoder, probing its input and output format if needed.

    A module with an attribute `n_features` is returned unchanged. For others, the number of
    channels is that of the first convolution, and sizes are tried until one works; if a second
    one gives as many features, any size is accepted. A module that takes no images is returned
    unchanged.
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
    """Channels, size and output of the empty images that the module accepts."""
    like = any_tensor(module)
    declared = [m.in_channels for m in module.modules() if isinstance(m, nn.Conv2d)][:1]
    for channels in declared or (3, 1):
        for size in SIZES:
            try:
                with torch.no_grad(), eval_mode(module):
                    z = first_of(module(torch.zeros(1, channels, size, size).to(like)))
            except FAILS:
                continue
            # a network of volumes may take n c h w for one volume: it returns no row per image
            if isinstance(z, Tensor) and z.ndim in (2, TOKENS, 4) and len(z) == 1:
                yield channels, size, z
