"""Colorization: predict the color of an image from its brightness."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.core import DataError
from medshot.data.dataset import Dataset
from medshot.data.transforms import LUMINANCE
from medshot.nn.encoder import Encoder
from medshot.pretraining.augment import check_strength, moved
from medshot.pretraining.objective import Objective, objective
from medshot.pretraining.reconstruct import decoder_of

LEAST = 2.0  # mean difference of channels, of 255: below this, a gray image is stored as RGB


@objective("colourise")
class Colorize(Objective):
    """Absolute error of red and blue, minus the brightness, predicted from the brightness.

    Source: Zhang, Isola & Efros 2016, arXiv:1603.08511; Larsson, Maire & Shakhnarovich 2017,
    arXiv:1703.04044 (colorization as a pretext task).

    Where we differ: the papers predict a distribution over colors, because a mean of several is
    gray; here the loss is the absolute error, which a median minimizes. Green follows from the
    brightness, red and blue. An encoder with three input channels gets the brightness three
    times. Data sets without color are left out.
    """

    source = "Zhang, Isola & Efros 2016, arXiv:1603.08511"
    colour = True

    def __init__(
        self, encoder: Encoder, sets: Sequence[Dataset], *, width: int = 32, augment: float = 0.5
    ) -> None:
        super().__init__(encoder)
        del sets
        check_strength(augment)
        self.augment = augment
        self.decoder = decoder_of(encoder, 2, width)

    @classmethod
    def usable(cls, sets: Sequence[Dataset]) -> list[Dataset]:
        """The data sets with color."""
        found = [dataset for dataset in sets if _color(dataset) >= LEAST]
        if not found:
            names = ", ".join(dataset.name for dataset in sets)
            raise DataError(
                f"There is no colour in {names}: nothing to predict. Take images in colour, or "
                "another objective, --objective reconstruct for one."
            )
        return found

    def loss(
        self, x: Float[Tensor, "n 3 h w"], y: Tensor, which: int, rng: torch.Generator
    ) -> Float[Tensor, ""]:
        """Mean absolute error of both channels."""
        x = moved(x, rng, self.augment)
        grey = (x * x.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)
        shown = grey.expand(-1, self.encoder.channels, -1, -1)
        return F.l1_loss(self.decoder(self.encoder(shown)), x[:, [0, 2]] - grey)


def _color(dataset: Dataset) -> float:
    """Mean absolute difference between the channels of its images."""
    some = dataset.x[:: max(1, len(dataset) // 64)].float()
    return (some.amax(1) - some.amin(1)).mean().item()
