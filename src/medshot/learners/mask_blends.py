"""Blends of a mask refiner and the pixel classifiers under it, and the choice of one."""

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from medshot.tasks.segmentation import by_image, overlap_counts

# weights of the refiner's logit and of the members' margins; the first unless another is better
# (chosen on ten sets, in other episodes than those of docs/results.md)
BLENDS = (
    (0.5, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0),
    (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (0.5, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0),
    (0.5, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0),
    (0.5, 0.0, 0.0, 2.0, 0.0, 2.0, 0.0),
    (0.5, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 0.0),
    (0.0, 0.0, 0.0, 0.0, 8.0, 0.0, 0.0),
    (0.0, 0.0, 2.0, 2.0, 2.0, 2.0, 0.0),
)
OF_HALVES = 3  # blends that are tried on halves of images, which are more alike than two images
HALVES = 0.04  # Dice by which one of these must be better
DOUBT = 0.25  # standard errors of the difference in Dice, by which another must be better


def blended(
    parts: Float[Tensor, "n k1 m1 h w"], blend: Float[Tensor, "m1"]
) -> Float[Tensor, "n k h w"]:
    """Weighted sum of the parts, with 0 for background."""
    found = (parts * blend.to(parts)[:, None, None]).sum(2)
    return torch.cat([torch.zeros_like(found[:, :1]), found], 1)


def image_dice(logits: Float[Tensor, "n k h w"], y: Int[Tensor, "n h w"]) -> Float[ndarray, "n"]:
    """Dice of each image."""
    claim, truth = (each.flatten(1).cpu().numpy() for each in (logits.argmax(1), y))
    return by_image(*overlap_counts(claim, truth, logits.shape[1]))


def best_blend(
    parts: Float[Tensor, "n k1 m1 h w"], y: Int[Tensor, "n h w"], halves: bool
) -> tuple[int, Float[ndarray, "b n"]]:
    """Place of the best of `BLENDS` for parts that were predicted out of fold, and all Dice.

    Of several patients, the blend whose mean Dice, less `DOUBT` standard errors of its difference
    to the first, is highest. Where images of one patient were cut into `halves`, the first unless
    one of the next is better by `HALVES`.
    """
    dice = np.stack([image_dice(blended(parts, each), y) for each in torch.tensor(BLENDS)])
    ahead = dice - dice[0]
    if halves:
        best = int(ahead[:OF_HALVES].mean(1).argmax())
        return (best if ahead[best].mean() > HALVES else 0), dice
    error = ahead.std(1, ddof=1) / len(y) ** 0.5
    return int((ahead.mean(1) - DOUBT * error).argmax()), dice
