"""Reconstruction: plain and masked autoencoders."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from medshot.core import ConfigError
from medshot.data.dataset import Dataset
from medshot.nn.encoder import Encoder
from medshot.nn.encoders.unet import Decoder
from medshot.pretraining.augment import check_strength, moved
from medshot.pretraining.objective import Objective, objective


@objective("reconstruct")
class Reconstruct(Objective):
    """Squared error of images that are decoded from their features.

    Source: Pathak et al. 2016, arXiv:1604.07379 (context encoders), and He et al. 2022,
    arXiv:2111.06377, whose mask ratio is 0.75. With `mask` above 0, that fraction of the patches
    of `patch` pixels is replaced by the image's mean, and the error is over the masked patches;
    `mask=0` is a plain autoencoder (Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647).

    Where we differ: the encoder is convolutional and sees masked patches as gray, and there is no
    adversarial loss.
    """

    source = "Pathak et al. 2016, arXiv:1604.07379; He et al. 2022, arXiv:2111.06377"

    def __init__(
        self,
        encoder: Encoder,
        sets: Sequence[Dataset],
        *,
        mask: float = 0.5,
        patch: int = 8,
        width: int = 32,
        augment: float = 0.5,
    ) -> None:
        super().__init__(encoder)
        del sets
        if not 0 <= mask < 1 or patch < 1:
            raise ConfigError(
                f"mask is {mask} and patch {patch}: a share from 0 to below 1, of squares of at "
                "least 1 pixel."
            )
        check_strength(augment)
        self.mask, self.patch, self.augment = mask, patch, augment
        self.decoder = decoder_of(encoder, encoder.channels, width)

    def loss(
        self, x: Float[Tensor, "n c h w"], y: Tensor, which: int, rng: torch.Generator
    ) -> Float[Tensor, ""]:
        """Squared error over the masked patches, or over the image if `mask` is 0."""
        x = moved(x, rng, self.augment)
        if self.mask == 0:
            return F.mse_loss(self.decoder(self.encoder(x)), x)
        hidden = patch_mask(x, self.mask, self.patch, rng)
        shown = torch.where(hidden, x.mean((2, 3), keepdim=True), x)
        error = (self.decoder(self.encoder(shown)) - x).square()
        return (error * hidden).sum() / (hidden.sum() * x.shape[1])


def patch_mask(
    x: Float[Tensor, "n c h w"], share: float, patch: int, rng: torch.Generator
) -> Bool[Tensor, "n 1 h w"]:
    """Random mask over a `share` of the patches of each image, at least one."""
    n, _, h, w = x.shape
    rows, columns = -(-h // patch), -(-w // patch)
    order = torch.rand(n, rows * columns, generator=rng).argsort(1)
    chosen = order < max(1, round(share * rows * columns))
    squares = chosen.view(n, 1, rows, columns)
    whole = squares.repeat_interleave(patch, 2).repeat_interleave(patch, 3)
    return whole[:, :, :h, :w].to(x.device)


def decoder_of(encoder: Encoder, channels: int, width: int) -> Decoder:
    """Decoder for the features of `encoder`."""
    if encoder.size is None:
        raise ConfigError("Images are decoded at one size, and this encoder has none.")
    return Decoder(encoder.n_features, channels, encoder.size, width, grid=encoder.keeps_grid)
