"""Multimodal examples (image, table, text, signal) as packed rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core import ConfigError, Examples, Preprocessing, ShapeError, part, unknown
from medshot.data.checks.issue import refusal
from medshot.data.dataset import Dataset
from medshot.data.io.signal import read_signal
from medshot.data.tables.columns import Column, cells_at, row_of
from medshot.data.transforms import ImagePreprocessing
from medshot.nn.encoders.multimodal import LAYOUT, WIDTH, packed, without

PIECES = (3, 5)  # shortest and longest character n-gram


@part("preprocessing", "multimodal")
@dataclass(frozen=True)
class MultimodalPreprocessing:
    """Packed rows (`medshot.nn.encoders.multimodal`) from lines of a table and the files they name.

    `kinds` are the modalities that are read; `columns` is the encoding of table cells as numbers.
    """

    kinds: Sequence[str]
    columns: Sequence[Column]
    dims: ClassVar[int] = 0
    channels = WIDTH
    size = None

    def __post_init__(self) -> None:
        for name in ("kinds", "columns"):  # JSON files give lists
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def read(self, path: Path) -> Float[Tensor, "f"]:
        """Read a line, given as `labels.csv/2`. Raises `DataError` naming table and line."""
        cells, folder = cells_at(path), path.parent.parent
        found = {kind: self._part(kind, cells, folder) for kind in self.kinds}
        there = {kind: values for kind, values in found.items() if values is not None}
        if not there:
            what = f"there is nothing in it of {', '.join(self.kinds)}"
            fix = "Fill a cell in, or remove the line."
            raise refusal(path.parent, what, fix, int(path.name)).error()
        return packed(there)

    def grid(self, path: Path) -> tuple[int, ...]:
        """Empty: a row has no pixels."""
        del path
        return ()

    def at(self, channels: int | None, size: int | None) -> "MultimodalPreprocessing":
        """The same: all rows have one form. Raises `ShapeError` for an encoder of images."""
        del size
        if channels not in (None, WIDTH):
            raise ShapeError(
                f"There is {', '.join(self.kinds)}, and this encoder takes images alone: take "
                "encoder='joined'."
            )
        return self

    def refit(self, x: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
        """The same."""
        return x

    def support(self, examples: Examples) -> Examples:
        """The same: rows are small."""
        return examples

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


def keeping(dataset: Dataset, kinds: Sequence[str]) -> Dataset:
    """Select modalities; an example that has none of them is left out.

    Raises:
        ConfigError: a modality that the data do not have, or there is only one.
    """
    form = dataset.preprocessing
    if not isinstance(form, MultimodalPreprocessing):
        raise ConfigError(
            f"--modalities chooses among several kinds of data, and {dataset.name} has images "
            "alone. Add a column text, signal or table.NAME to labels.csv, or leave it out."
        )
    for kind in kinds:
        if kind not in form.kinds:
            raise unknown(kind, form.kinds, kind=f"kind of data in {dataset.name}")
    x = dataset.x
    for kind in set(form.kinds) - set(kinds):
        x = without(x, kind)
    some = (x != 0).any(1).nonzero().flatten()
    form = replace(form, kinds=[kind for kind in form.kinds if kind in kinds])
    return replace(dataset.subset(some), x=x[some], preprocessing=form)


def as_read_by(dataset: Dataset, form: Preprocessing) -> Dataset:
    """The same rows with the columns and modalities of a predictor."""
    if not isinstance(form, MultimodalPreprocessing):
        raise ShapeError(f"The model takes images alone, and {dataset.name} has several kinds.")
    x = torch.stack([form.read(row.path) for row in dataset.rows])
    return replace(dataset, x=x, preprocessing=form)


def hashed(text: str) -> Float[Tensor, "c"]:
    """Hashed counts of character n-grams (3 to 5 letters, lower case), with L2 norm 1.

    Source: Weinberger et al. 2009, arXiv:0902.2206 (feature hashing, with signs).
    """
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415  (slow, rare)

    places = LAYOUT["text"][0]
    hashing = HashingVectorizer(analyzer="char_wb", ngram_range=PIECES, n_features=places)
    counts: Any = hashing.transform([text])
    return torch.from_numpy(counts.toarray()[0]).float()
