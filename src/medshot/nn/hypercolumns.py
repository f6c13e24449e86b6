"""From an encoder of whole images to one that keeps the grid: what each layer saw at each pixel."""

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import ConfigError
from medshot.core.parts import called, part
from medshot.nn.encoder import Encoder


@part("module", "hypercolumns")
class Hypercolumns(Encoder):
    """The maps of all blocks of `encoder`, spread to the grid of the image, one below the other.

    So what was learnt from labels of whole images can serve masks. The blocks are convolutions,
    which see images of any `size`; each map is divided by its root mean square over channels, so
    that deep and shallow ones count alike, and the scaled pixels come first.

    Source: Hariharan et al. 2015, arXiv:1411.5752 (the columns, spread bilinearly).

    Raises:
        ConfigError: an encoder without blocks (`conv4` has them).
    """

    source = "Hariharan et al. 2015, arXiv:1411.5752"
    keeps_grid = True

    def __init__(self, *, encoder: nn.Module, size: int = 128) -> None:
        blocks = getattr(encoder, "blocks", None)
        if not isinstance(encoder, Encoder) or not isinstance(blocks, nn.Sequential):
            raise ConfigError(
                f"{called(encoder)} has no blocks whose maps could be laid on the grid. "
                "Take a learner on conv4, or one that was trained with masks."
            )
        super().__init__(encoder.channels, size, encoder.scaling)
        self.transductive = encoder.transductive
        self.encoder = encoder
        widths = [_width(block) for block in blocks]
        self.n_features = encoder.channels + sum(widths)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f h w"]:
        """The features of every pixel of images in [0, 1]."""
        z = self.scaled(x)
        columns = [z]
        for block in self._blocks():
            z = block(z)
            even = z / (z.square().mean(1, keepdim=True) + 1e-4).sqrt()
            columns.append(F.interpolate(even, x.shape[2:], mode="bilinear"))
        return torch.cat(columns, 1)

    def _blocks(self) -> nn.Sequential:
        return cast(nn.Sequential, self.encoder.blocks)


def _width(block: nn.Module) -> int:
    """The channels that a block gives: those of its last convolution."""
    return [part.out_channels for part in block.modules() if isinstance(part, nn.Conv2d)][-1]
