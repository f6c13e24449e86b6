"""Folders of small pictures whose classes one can tell apart, and commands run in process."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from medshot.app.cli import main

SIDE = 24
SMALL = ("--encoder", "conv4", "--set", "encoder.width=8", "--set", "encoder.size=16")
TRAIN = ("--way=2", "--shot=1", "--query=1", "--steps=3", "--val-every=2", "--val-episodes=2")


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    def refused(self, *words: str) -> bool:
        """Whether it ended with status 2 and one line that says why and holds `words`.

        Before it stands at most what was going on.
        """
        *before, said = self.err.splitlines() or [""]
        alone = said.startswith("medshot: ") and not any("medshot: " in line for line in before)
        return self.status == 2 and alone and all(re.search(w, said) for w in words)


def command(*words: str | Path) -> int:
    """Run a command and return its status."""
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def picture(c: int, seed: int) -> Image.Image:
    """A noisy picture with a bright bar that stands where its class says."""
    rng = np.random.default_rng([c, seed])
    pixels = rng.integers(0, 120, (SIDE, SIDE))
    pixels[:, 5 * c + 1 : 5 * c + 5] += 120
    return Image.fromarray(pixels.astype(np.uint8))


def folder(
    at: Path,
    counts: Sequence[int] = (6, 6),
    *,
    labels: Sequence[str] = ("bright", "dark", "grey", "white"),
    patients: Sequence[Sequence[str]] | None = None,
    first: int = 0,
) -> Path:
    """A folder with labels.csv and `counts[c]` pictures of class c, numbered from `first`."""
    rows = []
    at.mkdir(parents=True)
    for c, count in enumerate(counts):
        for i in range(count):
            name = f"{c}-{i}.png"
            picture(c, first + i).save(at / name)
            rows.append((name, labels[c], *([patients[c][i]] if patients else [])))
    with (at / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        columns = ("path", "label", "patient")[: len(rows[0])]
        csv.writer(file).writerows([columns, *rows])
    return at


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
