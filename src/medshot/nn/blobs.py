"""Blobs: sites that are brighter or darker than what is around them, at the size of a class."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.filters import derivatives
from medshot.nn.responses import Responses


@part("predictor", "blobs")
class Blobs(Responses):
    """Of each class, the Laplacian of a Gaussian of `scales[c]` sites of the feature `channels[c]`.

    Bright on dark answers below 0: the gain has the sign.
    """

    def __init__(
        self,
        encoder: nn.Module,
        scales: Sequence[float],
        channels: Sequence[int],
        gain: Float[Tensor, "k"],
        offset: Float[Tensor, "k"],
        sizes: Float[Tensor, "k 2"],
        rare: float = 0.0,
        typical: float = 1.0,
    ) -> None:
        super().__init__(encoder, gain, offset, sizes, rare, typical)
        self.scales, self.channels = tuple(scales), tuple(channels)

    def respond(self, z: Float[Tensor, "n f h w"]) -> Float[Tensor, "n k h w"]:
        """The Laplacian of each class's feature at its scale."""
        pairs = zip(self.scales, self.channels, strict=True)
        return torch.cat([laplacian(z[:, c : c + 1], scale) for scale, c in pairs], 1)


def laplacian(z: Float[Tensor, "n f h w"], scale: float) -> Float[Tensor, "n f h w"]:
    """The Laplacian of Gaussian of every feature, times the scale squared."""
    blur, _, bend = derivatives(scale).to(z)
    reach = len(blur) // 2
    wide = F.pad(z.flatten(0, 1)[:, None], (reach,) * 4, mode="replicate")
    bent = [
        F.conv2d(F.conv2d(wide, down[None, None, :, None]), across[None, None, None, :])
        for down, across in ((bend, blur), (blur, bend))
    ]
    return (bent[0] + bent[1])[:, 0].unflatten(0, z.shape[:2])
