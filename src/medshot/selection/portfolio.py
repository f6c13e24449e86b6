"""Portfolio: scores on other data sets, and the few configurations that cover them best."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.selection.space import Configuration

STORED = Path(__file__).with_name("portfolio.json")


@dataclass(frozen=True, eq=False)
class Table:
    """Scores of each configuration on other data sets, by number of images per class."""

    configurations: tuple[Configuration, ...]
    sets: tuple[str, ...]  # data set of each row
    shots: tuple[int, ...]  # images per class of each row
    scores: Float[ndarray, "rows configurations"]

    def portfolio(
        self, most: int, shot: int | float, without: Sequence[str] = ()
    ) -> list[Configuration]:
        """`most` configurations, greedily the one that adds most to those before it.

        Source: greedy default portfolio, Pfisterer et al. 2021, arXiv:1811.09409; warm start from
        other data sets, Feurer et al. 2015, NeurIPS 28. The loss of a row is the regret of the
        best in the portfolio against the best of all. Each data set contributes the row whose
        shot is closest to `shot`, by ratio. Data sets in `without` are excluded.
        """
        rows = [row for name in dict.fromkeys(self.sets) for row in self._nearest(name, shot)]
        rows = [row for row in rows if self.sets[row] not in without]
        if not rows:
            return []
        lost = self.scores[rows].max(1, keepdims=True) - self.scores[rows]
        chosen: list[int] = []
        so_far = np.full((len(rows), 1), np.inf)
        while len(chosen) < min(most, len(self.configurations)):
            total = np.minimum(so_far, lost).mean(0)
            order = [*np.lexsort((lost.mean(0), total))]  # ties: the best by itself
            chosen.append(int(next(c for c in order if c not in chosen)))
            so_far = lost[:, chosen].min(1, keepdims=True)
        return [self.configurations[c] for c in chosen]

    def _nearest(self, name: str, shot: int | float) -> list[int]:
        rows = [row for row, each in enumerate(self.sets) if each == name]
        return sorted(rows, key=lambda row: abs(math.log(self.shots[row] / max(shot, 1))))[:1]


@cache
def stored() -> dict[str, Table]:
    """The packaged table of each task that has one."""
    found = json.loads(STORED.read_text(encoding="utf-8"))
    return {kind: table_of(one) for kind, one in found["kinds"].items()}


def table_of(found: dict) -> Table:
    """A table from its JSON: `configurations`, and `rows` with `set`, `shot` and `scores`."""
    rows = found["rows"]
    return Table(
        tuple(Configuration(**each) for each in found["configurations"]),
        tuple(row["set"] for row in rows),
        tuple(row["shot"] for row in rows),
        np.array([row["scores"] for row in rows], dtype=float),
    )
