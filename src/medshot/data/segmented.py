"""Images with masks in memory: a class number a pixel.

Volumes with masks in memory: a class number a voxel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int8, UInt8
from numpy import ndarray
from torch import Tensor, nn

from medshot.core.episode import Examples
from medshot.core.errors import DataError
from medshot.core.task import Card, Task
from medshot.data.checks.issue import refusal
from medshot.data.dataset import Dataset, resized
from medshot.data.io.image import read_image
from medshot.data.io.mask import fit_mask, read_mask
from medshot.data.tables.labels import Row
from medshot.data.transforms import VolumePreprocessing, patches
from medshot.tasks.segmentation import UNLABELED, Segmentation

AGAIN = "Export both from the same image, or leave the row out."


@dataclass(frozen=True, eq=False)
class Segmented(Dataset):
    """Images and, on the same grid, the class of every pixel: `labels[0]` is background."""

    y: UInt8[Tensor, "n h w"]
    by_class = False

    def counts(self) -> dict[str, int]:
        """On how many images each class is seen."""
        return dict(zip(self.labels, self.shows().sum(0).tolist(), strict=True))

    def examples(self, index: Tensor | slice = slice(None)) -> Examples:
        """The images at `index` in [0, 1], with their masks and patients."""
        found = super().examples(index)
        return replace(found, y=found.y.long().to(found.x.device))

    def at(self, channels: int, size: int) -> "Segmented":
        """The same images and masks in another form: from the files where there are any."""
        if (channels, size) == (self.preprocessing.channels, self.preprocessing.size):
            return self
        form = replace(self.preprocessing, channels=channels, size=size)
        if self.rows:
            pairs = [read_pair(row) for row in self.rows]
            x = torch.from_numpy(np.stack([form.fit(pixels) for pixels, _ in pairs]))
            y = torch.from_numpy(np.stack([fit_mask(mask, size) for _, mask in pairs]))
        else:
            x = resized(self.x, channels, size)
            y = F.interpolate(self.y[:, None].float(), (size, size), mode="nearest-exact")
            y = y[:, 0].byte()
        return replace(self, x=x, y=y, preprocessing=form)

    def only(self, classes: Sequence[int]) -> "Segmented":
        """Refused: what is left of an image without some of its classes?"""
        raise DataError(f"{self.name} has masks: it can be split by patient, not by class.")

    def numbered_as(self, labels: tuple[str, ...]) -> "Segmented":
        """As for other images; but masks hold numbers, so that the first labels are the same."""
        if len(self.labels) > len(labels):
            raise DataError(
                f"The masks of {self.name} hold numbers up to {len(self.labels) - 1}, and the "
                f"model knows {len(labels)} classes, {', '.join(labels)}. Take masks of these."
            )
        return replace(self, labels=labels)

    def task(self) -> Task:
        """Segmentation into as many classes."""
        return Segmentation(len(self.labels))


def read_pair(row: Row) -> tuple[UInt8[ndarray, "h w c"], UInt8[ndarray, "h w"]]:
    """The pixels and the mask of one row, as they are in their files.

    Raises:
        DataError: one cannot be read, there is no mask, or it is of another size than the image.
    """
    if row.mask is None:
        raise refusal(row.path, "it has no mask", "Give it one in labels.csv.", row.line).error()
    pixels, mask = read_image(row.path), read_mask(row.mask)
    if mask.shape != pixels.shape[:2]:
        sizes = [" x ".join(map(str, shape)) for shape in (mask.shape, pixels.shape[:2])]
        what = f"it is a mask of {sizes[0]} pixels, and its image {row.path.name} has {sizes[1]}"
        raise refusal(row.mask, what, AGAIN, row.line or None).error()
    return pixels, mask


@dataclass(frozen=True, eq=False)
class Volumes(Segmented):
    """Volumes, each black beyond its own shape, where its mask says nothing (-1)."""

    x: UInt8[Tensor, "n 1 z h w"]
    y: Int8[Tensor, "n z h w"]
    preprocessing: VolumePreprocessing  # type: ignore[reportIncompatibleVariableOverride]
    spacing: Sequence[float] = (1.0, 1.0, 1.0)  # mm between voxels, along z, y, x

    def at(self, channels: int, size: int | None) -> "Volumes":
        """Refused: these are no images."""
        del channels, size
        raise DataError(
            f"{self.name} holds volumes, and this encoder takes images. Take a learner on an "
            'encoder for volumes, "unet3d" or "filters3d".'
        )

    def task(self) -> Task:
        """Segmentation into as many classes, on voxels of known size."""
        return Segmentation(len(self.labels), self.spacing)

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
    y = torch.full((len(volumes), *shape.tolist()), UNLABELED, dtype=torch.int8)
    for i, (values, mask) in enumerate(zip(volumes, masks, strict=True)):
        there = tuple(slice(0, side) for side in values.shape)
        x[i, 0][there] = torch.from_numpy(values)
        y[i][there] = torch.from_numpy(mask.astype(np.int8))
    return x, y
