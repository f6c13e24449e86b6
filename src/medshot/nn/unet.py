"""A U-Net whose last map is the features: an encoder that keeps the grid."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import ConfigError
from medshot.core.parts import part
from medshot.nn.encoder import Encoder
from medshot.nn.norm import norm


@part("encoder", "unet")
class UNet(Encoder):
    """Down in `depth` halvings, up again with what each level saw on the way: features a pixel.

    Source: Ronneberger, Fischer & Brox 2015, arXiv:1505.04597. Level i is `width` x 2^i wide, but
    no wider than 8 x `width`; two convolutions a level on the way down, two on the way up.

    Where we differ: borders are padded, so that the grid is kept; normalisation (by group, by
    default) before each ReLU; nearest pixels and a convolution where the paper has a transposed
    convolution; and no last layer that makes classes out of features: that is the head's business.
    """

    source = "Ronneberger et al. 2015, arXiv:1505.04597"
    keeps_grid = True

    def __init__(
        self,
        *,
        channels: int = 3,
        size: int = 128,
        width: int = 16,
        depth: int = 4,
        norm: str = "group",
        scaling: str = "standard",
    ) -> None:
        super().__init__(channels, size, scaling)
        if depth < 1 or size % 2**depth:
            raise ConfigError(
                f"{depth} halvings of {size} pixels: take depth=1 or more and a size that is a "
                f"multiple of 2^depth (for depth={max(depth, 1)}, of {2 ** max(depth, 1)})."
            )
        widths = [width * min(2**level, 8) for level in range(depth + 1)]
        inputs = [channels, *widths[:-1]]
        self.down = nn.ModuleList(_level(a, b, norm) for a, b in zip(inputs, widths, strict=True))
        pairs = zip(widths[1:], widths[:-1], strict=True)
        self.up = nn.ModuleList(_level(below + here, here, norm) for below, here in pairs)
        self.transductive = norm == "transductive"
        self.n_features = width

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f h w"]:
        """The features of every pixel of images in [0, 1]."""
        z, seen = self.scaled(x), []
        for i, level in enumerate(self.down):
            z = level(z if i == 0 else F.max_pool2d(z, 2))
            seen.append(z)
        for level, beside in zip(reversed(self.up), reversed(seen[:-1]), strict=True):
            z = level(torch.cat([F.interpolate(z, scale_factor=2.0), beside], 1))
        return z


def _level(inputs: int, outputs: int, policy: str) -> nn.Sequential:
    first, second = (nn.Conv2d(n, outputs, 3, padding=1) for n in (inputs, outputs))
    norms = norm(policy, outputs), norm(policy, outputs)
    return nn.Sequential(first, norms[0], nn.ReLU(), second, norms[1], nn.ReLU())
