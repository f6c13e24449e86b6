"""Images with what they should look like: pairs in memory, squares at their own resolution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from medshot.core.episode import Examples
from medshot.core.errors import DataError
from medshot.core.task import Task
from medshot.data.checks.issue import refusal
from medshot.data.dataset import Dataset
from medshot.data.io.image import decode, window_of
from medshot.data.tables.labels import Row
from medshot.data.transforms import NativePreprocessing, busiest, eight_bits, enlarged, scaled, unit
from medshot.tasks import Enhancement

LABELS = ("enhanced image",)


class Pair(NamedTuple):
    """An image, by now `factor` times as large as its file, and its target: one grid, in [0, 1]."""

    image: Float[ndarray, "h w c"]
    wanted: Float[ndarray, "h w d"]
    factor: int


@dataclass(frozen=True, eq=False)
class Enhanced(Dataset):
    """Squares of images and, on the same grid, of what they should look like."""

    y: UInt8[Tensor, "n c h w"]
    preprocessing: NativePreprocessing  # pyright: ignore[reportIncompatibleVariableOverride]
    by_class: ClassVar[bool] = False

    def counts(self) -> dict[str, int]:
        """How many pairs there are."""
        return {self.labels[0]: len(self)}

    def examples(self, index: Tensor | slice = slice(None)) -> Examples:
        """The squares at `index` in [0, 1], with their targets and patients."""
        found = super().examples(index)
        return replace(found, y=unit(found.y).to(found.x.device))

    def at(self, channels: int, size: int) -> "Enhanced":
        """The same pairs in another form: from the files where there are any."""
        if (channels, size) == (self.preprocessing.channels, self.preprocessing.size):
            return self
        form = self.preprocessing.at(channels, size)
        if self.rows:
            x, y = squares([read_pair(row) for row in self.rows], form)
        elif channels != self.x.shape[1] or size > self.x.shape[2]:
            raise DataError(
                f"{self.name} has no files to read again at {channels} x {size} x {size}: take "
                f"channels={self.x.shape[1]} and at most size={self.x.shape[2]}."
            )
        else:
            x, y = self.x[:, :, :size, :size], self.y[:, :, :size, :size]
        return replace(self, x=x, y=y, preprocessing=form)

    def only(self, classes: Sequence[int]) -> "Enhanced":
        """Refused: there are no classes."""
        raise DataError(f"{self.name} has no classes: it can be split by patient alone.")

    def task(self) -> Task:
        """Enhancement of as many channels."""
        return Enhancement(self.y.shape[1])


def squares(
    pairs: Sequence[Pair], form: NativePreprocessing
) -> tuple[UInt8[Tensor, "n c s s"], UInt8[Tensor, "n c s s"]]:
    """Of each pair the square on whose target most is to be seen, as large as the smallest image.

    The sides are `form.size`, or those of the smallest image if that is less.
    """
    plain = replace(form, factor=1)
    side = min(form.size, *(n for pair in pairs for n in pair.wanted.shape[:2]))
    x, y = [], []
    for pair in pairs:
        given, clean = plain.fit(pair.image), plain.fit(pair.wanted)
        down, across = busiest(clean, side)
        x.append(eight_bits(given[:, down, across]))
        y.append(eight_bits(clean[:, down, across]))
    return torch.from_numpy(np.stack(x)), torch.from_numpy(np.stack(y))


def read_pair(row: Row) -> Pair:
    """The image and the target of one row in [0, 1], both scaled by the image's window.

    An image that is smaller by a whole factor is enlarged to the grid of its target.

    Raises:
        DataError: one cannot be read, there is no target, it is the same image, or it does not fit.
    """
    if row.clean is None:
        raise refusal(row.path, "it has no target", "Give it one in labels.csv.", row.line).error()
    given, wanted = decode(row.path), decode(row.clean)
    window = window_of(given)
    if given.dtype != wanted.dtype:
        what = f"its values are of the type {wanted.dtype}, and those of {row.path.name} are"
        mend = "Export both from the same program, so that equal values mean the same."
        raise refusal(row.clean, f"{what} {given.dtype}", mend, row.line or None).error()
    factor = _factor(row, given.shape, wanted.shape)
    image, target = scaled(given, *window), scaled(wanted, *window)
    if factor == 1 and given.shape == wanted.shape and (given == wanted).all():
        what = f"it holds the same pixels as its image {row.path.name}: nothing can be learned"
        raise refusal(row.clean, what, "Leave the row out.", row.line or None).error()
    return Pair(enlarged(image, factor) if factor > 1 else image, target, factor)


def _factor(row: Row, given: Sequence[int], wanted: Sequence[int]) -> int:
    """How many times as large the target is, along both axes."""
    factor = wanted[0] // given[0]
    if factor < 1 or (factor * given[0], factor * given[1]) != (wanted[0], wanted[1]):
        sizes = [" x ".join(map(str, shape[:2])) for shape in (wanted, given)]
        what = f"it has {sizes[0]} pixels, and its image {row.path.name} has {sizes[1]}"
        mend = "A target shows the same scene on the same grid, or on one 2, 3, ... times as fine."
        raise refusal(row.clean, what, mend, row.line or None).error()
    return factor
