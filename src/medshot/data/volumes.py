"""Volumes with masks in memory: a class number a voxel."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int8, UInt8
from numpy import ndarray
from torch import Tensor, nn

from medshot.core.episode import Examples
from medshot.core.errors import DataError
from medshot.core.predictor import Card
from medshot.data.patches import patches
from medshot.data.segmented import Segmented
from medshot.data.volume_form import VolumePreprocessing
from medshot.tasks.segmentation import UNLABELLED


@dataclass(frozen=True, eq=False)
class Volumes(Segmented):
    """Volumes, each black beyond its own shape, where its mask says nothing (-1)."""

    x: UInt8[Tensor, "n 1 z h w"]
    y: Int8[Tensor, "n z h w"]
    preprocessing: VolumePreprocessing  # type: ignore[reportIncompatibleVariableOverride]

    def at(self, channels: int, size: int | None) -> "Volumes":
        """Refused: these are no images."""
        del channels, size
        raise DataError(
            f"{self.name} holds volumes, and this encoder takes images. Take a learner on an "
            'encoder for volumes, "unet3d" or "filters3d".'
        )

    def support(self, encoder: nn.Module) -> tuple[Examples, Card]:
        """All volumes, in parts where they are large, and what must travel with a predictor."""
        examples, card = super().support(encoder)
        return patches(examples), card


def stacked(
    volumes: list[UInt8[ndarray, "..."]], masks: list[UInt8[ndarray, "..."]]
) -> tuple[UInt8[Tensor, "n 1 z h w"], Int8[Tensor, "n z h w"]]:
    """Volumes and masks of any shapes in tensors of the largest of each side."""
    shape = np.array([v.shape for v in volumes]).max(0)
    x = torch.zeros(len(volumes), 1, *shape.tolist(), dtype=torch.uint8)
    y = torch.full((len(volumes), *shape.tolist()), UNLABELLED, dtype=torch.int8)
    for i, (values, mask) in enumerate(zip(volumes, masks, strict=True)):
        there = tuple(slice(0, side) for side in values.shape)
        x[i, 0][there] = torch.from_numpy(values)
        y[i][there] = torch.from_numpy(mask.astype(np.int8))
    return x, y
