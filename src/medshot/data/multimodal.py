"""Examples of several kinds of data in memory: a packed row each, a label each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.episode import Examples
from medshot.core.errors import ShapeError, unknown
from medshot.core.predictor import Card, Preprocessing
from medshot.core.registry import called, part
from medshot.data.checks.issue import refusal
from medshot.data.dataset import Dataset
from medshot.data.io.signal import read_signal
from medshot.data.tables.columns import Column, cells_at, row_of
from medshot.data.transforms import ImagePreprocessing
from medshot.nn.encoders.multimodal import LAYOUT, WIDTH, packed, without

PIECES = (3, 5)  # letters of a piece of a word


@part("preprocessing", "multimodal")
@dataclass(frozen=True)
class MultimodalPreprocessing:
    """Packed rows (`medshot.nn.encoders.multimodal`) from lines of a table and the files they name.

    `kinds` are those that are read; `columns` says how cells of the table become numbers.
    """

    kinds: Sequence[str]
    columns: Sequence[Column]
    dims: ClassVar[int] = 0
    channels: ClassVar[int] = WIDTH
    size: ClassVar[None] = None

    def __post_init__(self) -> None:
        for name in ("kinds", "columns"):  # lists, where they are from a file
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def read(self, path: Path) -> Float[Tensor, "f"]:
        """The example in one line, as `labels.csv/2`. Raises `DataError` naming table and line."""
        cells, folder = cells_at(path), path.parent.parent
        found = {kind: self._part(kind, cells, folder) for kind in self.kinds}
        there = {kind: values for kind, values in found.items() if values is not None}
        if not there:
            what = f"there is nothing in it of {', '.join(self.kinds)}"
            mend = "Fill a cell in, or remove the line."
            raise refusal(path.parent, what, mend, int(path.name)).error()
        return packed(there)

    def grid(self, path: Path) -> tuple[int, ...]:
        """Nothing: a row has no sites."""
        del path
        return ()

    def _part(self, kind: str, cells: dict[str, str], folder: Path) -> Tensor | None:
        if kind == "table":
            return row_of(self.columns, cells)
        cell = cells.get("path" if kind == "image" else kind, "")
        if not cell:
            return None
        if kind == "text":
            return hashed(cell)
        if kind == "signal":
            return read_signal(folder / cell)
        channels, size, _ = LAYOUT["image"]
        return ImagePreprocessing(channels, size).read(folder / cell)


@dataclass(frozen=True, eq=False)
class Multimodal(Dataset):
    """Packed rows, their classes, and whom they are from."""

    x: Float[Tensor, "n f"]
    preprocessing: MultimodalPreprocessing  # pyright: ignore[reportIncompatibleVariableOverride]

    def examples(self, index: Tensor | slice = slice(None)) -> Examples:
        """The rows at `index`, with their labels and patients."""
        return Examples(self.x[index], self.y[index], self.groups[index])

    def at(self, channels: int, size: int) -> "Multimodal":
        """The same: all rows have one form."""
        del channels, size
        return self

    def support(self, encoder: nn.Module) -> tuple[Examples, Card]:
        """All rows as a support set for `encoder`, which must take such rows."""
        if getattr(encoder, "channels", WIDTH) != WIDTH:
            raise ShapeError(
                f"{called(encoder)} takes images alone, and {self.name} has "
                f"{', '.join(self.preprocessing.kinds)}: take encoder='joined'."
            )
        return super().support(encoder)

    def keeping(self, kinds: Sequence[str]) -> "Multimodal":
        """Only these kinds of data; an example that has none of them is left out.

        Raises:
            ConfigError: a kind that the data do not have.
        """
        have = self.preprocessing.kinds
        for kind in kinds:
            if kind not in have:
                raise unknown(kind, have, kind=f"kind of data in {self.name}")
        x = self.x
        for kind in set(have) - set(kinds):
            x = without(x, kind)
        form = replace(self.preprocessing, kinds=[k for k in have if k in kinds])
        some = (x != 0).any(1).nonzero().flatten()
        rest = cast("Multimodal", self.subset(some))
        return replace(rest, x=x[some], preprocessing=form)

    def as_read_by(self, form: Preprocessing) -> "Multimodal":
        """The same rows read as a predictor reads them: its columns, its kinds of data."""
        if not isinstance(form, MultimodalPreprocessing):
            raise ShapeError(f"The model takes images alone, and {self.name} has several kinds.")
        x = torch.stack([form.read(row.path) for row in self.rows])
        return replace(self, x=x, preprocessing=form)


def hashed(text: str) -> Float[Tensor, "c"]:
    """Counts of pieces of words (3 to 5 letters, in lower case), each in a place by its hash.

    Source: Weinberger et al. 2009, arXiv:0902.2206 (feature hashing, with signs). Of length 1.
    """
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415  (slow, rare)

    places = LAYOUT["text"][0]
    hashing = HashingVectorizer(analyzer="char_wb", ngram_range=PIECES, n_features=places)
    counts: Any = hashing.transform([text])
    return torch.from_numpy(counts.toarray()[0]).float()
