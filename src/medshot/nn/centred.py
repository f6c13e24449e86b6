"""Prototypes among features that are centred and then brought to unit length."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.features import Head
from medshot.nn.heads import squared_distances


@part("predictor", "centred-prototypes")
class CentredPrototypes(Head):
    """Minus the squared distance of the direction from `centre` to one prototype a class."""

    centre: Tensor
    prototypes: Tensor
    scale: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        centre: Float[Tensor, "f"],
        prototypes: Float[Tensor, "k f"],
        scale: Float[Tensor, ""],
    ) -> None:
        super().__init__(encoder, centre=centre, prototypes=prototypes, scale=scale)

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Minus the scaled squared distance to each class."""
        z = directions(z, self.centre)
        return -self.scale * squared_distances(z, self.prototypes)


def directions(z: Float[Tensor, "n f"], centre: Float[Tensor, "f"]) -> Float[Tensor, "n f"]:
    """The unit vectors from `centre` to each row of `z`."""
    with torch.autocast(z.device.type, enabled=False):
        return F.normalize(z - centre, dim=1)
