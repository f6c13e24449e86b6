"""Colour prediction: from the grey image to what colour it has."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.core.errors import DataError
from medshot.data.dataset import Dataset
from medshot.data.transforms import LUMINANCE
from medshot.nn.encoder import Encoder
from medshot.pretraining.augment import check_strength, moved
from medshot.pretraining.objective import Objective, objective
from medshot.pretraining.reconstruct import decoder_of

LEAST = 2.0  # mean distance, of 255, between channels: less is a grey image stored in colour


@objective("colourise")
class Colorize(Objective):
    """The error of red and blue, less the brightness, that are predicted from the brightness.

    Source: Zhang, Isola & Efros 2016, arXiv:1603.08511; Larsson, Maire & Shakhnarovich 2017,
    arXiv:1703.04044 (colour as a task to learn an encoder from).

    Where we differ: the papers predict a distribution over colours, because a mean of several is
    a grey one; here it is the absolute error, whose best answer is a median. Green follows from
    the three. An encoder of three channels is shown the brightness three times. Data sets without
    colour cannot teach this and are left out.
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
        """The sets with colour."""
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
        """The mean absolute error of both."""
        x = moved(x, rng, self.augment)
        grey = (x * x.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)
        shown = grey.expand(-1, self.encoder.channels, -1, -1)
        return F.l1_loss(self.decoder(self.encoder(shown)), x[:, [0, 2]] - grey)


def _color(dataset: Dataset) -> float:
    """How far the channels of its images are apart, on average."""
    some = dataset.x[:: max(1, len(dataset) // 64)].float()
    return (some.amax(1) - some.amin(1)).mean().item()
