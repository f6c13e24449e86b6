"""Prototypes as a linear head: a start that other weights can be added to."""

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.nn.heads import class_means


def prototype_head(
    z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"], scale: Tensor | float
) -> tuple[Float[Tensor, "f k"], Float[Tensor, "k"]]:
    """Weight and bias that decide as minus `scale` times the squared distance to the class means.

    Source: Snell et al. 2017, arXiv:1703.05175 (as a linear model): of -s |z - c|^2 the part
    -s |z|^2 is the same for all classes, and 2 s z.c - s |c|^2 is left.
    """
    centres = class_means(z, labels)
    with torch.autocast(z.device.type, enabled=False):
        return 2 * scale * centres.T, -scale * centres.square().sum(1)
