"""The medical results: one CSV of every number with its interval, a heat-map, a table.

    python experiments/medical_tables.py [--from runs/medical] [--to docs]

With --from, what experiments/medical.py wrote becomes <to>/results/medical.csv. From that CSV come
<to>/results/medical.png (learner x set x shots: the paired difference to the linear probe on raw
pixels) and the table in <to>/results.md.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medical import METRIC, PROBE, SHOTS
from medshot.core.files import write_text
from medshot.learners import learners
from pages import fill, read_csv, tables_options

PIXELS = f"{METRIC}, minus linear probe on raw pixels"
OWN = f"{METRIC}, minus linear probe on its own encoder"
COLUMNS = ("set", "shot", "learner", "encoder", "transductive", "metric", "mean", "low", "high")
Table = Mapping[tuple[str, str, int, str], Mapping[str, float]]  # learner, set, shot, metric
LIMIT = 0.15  # of the colours


def main() -> None:
    options = tables_options(__doc__)
    file = options.to / "results" / "medical.csv"
    if options.source:
        write_text(file, as_csv(json.loads(f.read_text()) for f in _files(options.source)))
    table = read(file)
    heat_map(table, file.with_suffix(".png"))
    fill(options.to / "results.md", "medical", summary(table))


def as_csv(rows: Iterable[dict[str, Any]]) -> str:
    """Every metric of every learner on every set and shot, with its interval."""
    lines = [",".join((*COLUMNS, "episodes", "episodes_hash", "hardware", "commit"))]
    for row in rows:
        for protocol, cell in row["shots"].items():
            found = dict(cell.get("metrics", {}))
            found |= {PIXELS: cell["minus_pixels"]} if "minus_pixels" in cell else {}
            found |= {OWN: cell["minus_own_probe"]} if "minus_own_probe" in cell else {}
            shot = protocol.rpartition("/")[2].removesuffix("s")
            where = [row["set"], shot, *row["learner"].split("/"), str(row["transductive"]).lower()]
            for metric, v in found.items():
                numbers = [f"{v[part]:.5f}" for part in ("mean", "low", "high")]
                about = [v["n"], cell["fingerprint"], row["hardware"], row["commit"]]
                lines.append(_line([*where, metric, *numbers, *about]))
    return "\n".join(lines) + "\n"


def read(file: Path) -> Table:
    """The CSV by learner/encoder, set, shot and metric."""
    found: dict[tuple[str, str, int, str], dict[str, float]] = {}
    for row in read_csv(file):
        key = f"{row['learner']}/{row['encoder']}", row["set"], int(row["shot"]), row["metric"]
        found[key] = {part: float(row[part]) for part in ("mean", "low", "high")}
    return found


def summary(table: Table) -> str:
    """A learner a row, best first: means over the sets, and verdicts at 5 shots."""
    sets = sorted({key[1] for key in table})
    lines = [
        f"| learner / encoder | {' | '.join(f'{s}-shot, mean of {len(sets)}' for s in SHOTS)} | "
        "5-shot against a linear probe on raw pixels: better / no difference / worse | "
        "5-shot against a linear probe on its own encoder |",
        "|---|" + "---|" * (len(SHOTS) + 2),
    ]
    for name in _by_mean(table, sets):
        means = [f"{100 * mean(table, name, sets, shot):.1f}" for shot in SHOTS]
        counts = [verdicts(table, name, sets, against) for against in (PIXELS, OWN)]
        lines.append(f"| {shown(name)} | {' | '.join([*means, *counts])} |")
    return "\n".join([*lines, "", "![heat-map](results/medical.png)"]) + "\n"


def heat_map(table: Table, file: Path) -> None:
    """Learner x set x shots: percentage points better (blue) or worse (red) than the probe.

    A number is written where the interval leaves out 0.
    """
    sets = sorted({key[1] for key in table})
    names = [name for name in _by_mean(table, sets) if name != PROBE]
    height, width = 0.21 * len(names) + 1.6, 0.42 * len(sets) * len(SHOTS) + 2.5
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(1, len(SHOTS), sharey=True)
    image = None
    for axis, shot in zip(axes, SHOTS, strict=True):
        values = _grid(table, names, sets, shot, "mean")
        image = axis.imshow(values, cmap="RdBu", vmin=-LIMIT, vmax=LIMIT, aspect="auto")
        _write_numbers(axis, values, *(_grid(table, names, sets, shot, p) for p in ("low", "high")))
        axis.set_title(f"{shot} image{'s' if shot > 1 else ''} a class", fontsize=9)
        axis.set_xticks(range(len(sets)), sets, rotation=60, ha="right", fontsize=7)
        axis.set_yticks(range(len(names)), [shown(n) for n in names], fontsize=7)
        axis.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, fraction=0.012, pad=0.01)
    bar.set_label("balanced accuracy minus linear probe on raw pixels", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    figure.savefig(file, dpi=130, bbox_inches="tight")


def _write_numbers(axis: Any, values: NDArray, low: NDArray, high: NDArray) -> None:
    for (i, j), value in np.ndenumerate(values):
        if low[i, j] > 0 or high[i, j] < 0:
            colour = "white" if abs(value) > 0.6 * LIMIT else "black"
            text = f"{100 * value:+.0f}"
            axis.text(j, i, text, ha="center", va="center", fontsize=5.5, color=colour)


def _grid(table: Table, names: list[str], sets: list[str], shot: int, part: str) -> NDArray:
    nothing = {part: np.nan}
    return np.array([[table.get((n, s, shot, PIXELS), nothing)[part] for s in sets] for n in names])


def _by_mean(table: Table, sets: list[str]) -> list[str]:
    names = {key[0] for key in table}
    return sorted(names, key=lambda n: -float(np.nan_to_num(mean(table, n, sets, 5))))


def mean(table: Table, name: str, sets: list[str], shot: int) -> float:
    """The mean balanced accuracy over `sets`; nan where there is none."""
    nothing = {"mean": np.nan}
    return float(np.nanmean([table.get((name, s, shot, METRIC), nothing)["mean"] for s in sets]))


def verdicts(table: Table, name: str, sets: list[str], against: str) -> str:
    """On how many sets the interval at 5 shots is above 0, holds it, is below."""
    found = [table[key] for s in sets if (key := (name, s, 5, against)) in table]
    better, worse = sum(v["low"] > 0 for v in found), sum(v["high"] < 0 for v in found)
    return f"{better} / {len(found) - better - worse} / {worse}" if found else ""


def shown(name: str) -> str:
    """The name in a table: learner, and what it looks at if not at its own encoder."""
    learner, _, encoder = name.partition("/")
    label = learner if encoder == "own" else f"{learner}, {encoder} encoder"
    label = f"{learner}, raw pixels" if encoder == "pixels" else label
    return f"{label} (transductive)" if learners()[learner].transductive else label


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*@*.json"))


def _line(cells: list[Any]) -> str:
    return ",".join(f'"{c}"' if "," in str(c) else str(c) for c in cells)


if __name__ == "__main__":
    main()
