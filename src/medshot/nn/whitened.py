"""Features block by block: whitened by what is known of other tasks, centered, of unit length."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import ShapeError
from medshot.core.parts import part

TINY = 1e-12  # of a sum of squares: a block that is all zero stays so


@part("module", "whitened-blocks")
class WhitenedBlocks(nn.Module):
    """Directions of the feature blocks of an encoder about a center, in a whitened space.

    For block b of an image, u_b = d_b / |d_b| with d_b = (I - V_b V_b') z_b - c_b. The rows of
    `factors` (f r) that belong to the block are V_b: directions in which images of one class differ
    are shortened (within-class covariance normalization, Hatch, Kajarekar & Stolcke 2006,
    doi:10.21437/Interspeech.2006-183, of low rank). Its scale is of no matter, because d_b is
    divided by its length. `center` (f) is a point in the whitened space.
    """

    factors: Tensor
    center: Tensor

    def __init__(
        self,
        *,
        encoder: nn.Module,
        sizes: Sequence[int],
        factors: Float[Tensor, "f r"],
        center: Float[Tensor, "f"],
    ) -> None:
        super().__init__()
        if not sum(sizes) == len(factors) == len(center):
            raise ShapeError(
                f"Blocks of {sum(sizes)} features in all do not fit factors for {len(factors)} and "
                f"a center of {len(center)}."
            )
        self.encoder, self.sizes = encoder, tuple(sizes)
        self.n_features = sum(sizes)
        self.transductive = bool(getattr(encoder, "transductive", False))
        self.register_buffer("factors", factors)
        self.register_buffer("center", center)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n f"]:
        """Directions of images."""
        whitened = shortened(self.encoder(x), self.factors, self.sizes)
        return torch.cat(directions(whitened, self.center, self.sizes), 1)


def shortened(
    z: Float[Tensor, "n f"], factors: Float[Tensor, "f r"], sizes: Sequence[int]
) -> Float[Tensor, "n f"]:
    """Each block z_b less V_b V_b' z_b: as it is where there are no factors."""
    if not factors.shape[1]:
        return z
    blocks = zip(z.split(list(sizes), 1), factors.split(list(sizes)), strict=True)
    return torch.cat([b - (b @ v) @ v.T for b, v in blocks], 1)


def directions(
    whitened: Float[Tensor, "n f"], center: Float[Tensor, "f"], sizes: Sequence[int]
) -> list[Float[Tensor, "n d"]]:
    """The blocks of features about `center`, each divided by its length."""
    blocks = (whitened - center).split(list(sizes), 1)
    return [b / (b.square().sum(1, keepdim=True) + TINY).sqrt() for b in blocks]
