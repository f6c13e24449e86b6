"""Numbers and tables on the page, as frozen data: nothing here computes or draws one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Scatter:
    """Numbers that were answered against the true ones: two arrays ``n``, in one unit.

    Raises ValueError where the two are not of one length.
    """

    name: str
    truth: NDArray[np.floating]
    answer: NDArray[np.floating]

    def __post_init__(self) -> None:
        if self.truth.shape != self.answer.shape or self.truth.ndim != 1:
            raise ValueError(f"a scatter needs pairs, got {self.truth.shape}, {self.answer.shape}")


@dataclass(frozen=True, slots=True)
class Table:
    """Anything else in rows: text under the names of its columns, the first being what it is of."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
