"""The results for masks: one CSV of every number with its interval, and tables in the pages.

    python experiments/segmentation_tables.py [--from runs/segmentation] [--to docs]

With --from, what experiments/segmentation.py wrote becomes <to>/results/segmentation.csv, from
which come the tables in <to>/results.md.
"""

import json
from pathlib import Path

from medshot.core.atomic import write_text
from pages import fill, read_csv, tables_options
from segmentation import SHOTS, VOLUMES
from segmentation_sets import SETS

COLUMNS = ("set", "shot", "learner", "mean", "low", "high", "n", "mm", "seconds", "scores")
HEADING = (
    "Dice ± half of its 95 % interval over episodes, of volumes the mean distance of borders "
    "(CPU seconds)"
)
DISTANCE = "mean surface distance (mm)"


def main() -> None:
    options = tables_options(__doc__)
    file = options.to / "results" / "segmentation.csv"
    if options.source:
        write_text(file, _as_csv(sorted(options.source.glob("*/*.json"))))
    rows = read_csv(file)
    text = "\n".join(_table(rows, shot) for shot in SHOTS)
    said = sorted({f"{row['hardware']}, commit `{row['commit']}`" for row in rows})
    fill(options.to / "results.md", "segmentation", f"{text}\n{'; '.join(said)}\n")


def _as_csv(files: list[Path]) -> str:
    lines = [",".join((*COLUMNS, "fingerprint", "origin", "hardware", "commit"))]
    for row in (json.loads(file.read_text()) for file in files):
        for shot, cell in row["shots"].items():
            dice = cell["Dice"]
            numbers = [f"{dice[part]:.4f}" for part in ("mean", "low", "high")]
            scores = " ".join(map(str, cell["scores"]))
            mm = f"{cell[DISTANCE]['mean']:.2f}" if DISTANCE in cell else ""
            where = [row["set"], shot, row["learner"]]
            values = [*where, *numbers, dice["n"], mm, cell["seconds"], scores]
            about = [cell["fingerprint"], row["origin"], row["hardware"], row["commit"]]
            lines.append(",".join(f'"{value}"' for value in (*values, *about)))
    return "\n".join(lines) + "\n"


def _table(rows: list[dict[str, str]], shot: int) -> str:
    """Learners by sets, from so many images; the best of each set in bold."""
    cells = {(r["learner"], r["set"]): r for r in rows if int(r["shot"]) == shot}
    sets = [name for name in (*SETS, VOLUMES) if any(s == name for _, s in cells)]
    best = {s: max(float(r["mean"]) for (_, o), r in cells.items() if o == s) for s in sets}
    names = sorted({_row_of(learner) for learner, _ in cells})
    lines = [f"**{shot} image(s).** {HEADING}", ""]
    lines += [f"| learner | {' | '.join(sets)} |", f"|---|{'---|' * len(sets)}"]
    for name in names:
        found = [cells.get((name, s)) or cells.get((f"{name}3d", s)) for s in sets]
        shown = [_cell(r, best[s]) for r, s in zip(found, sets, strict=True)]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _row_of(learner: str) -> str:
    """The network in three dimensions stands in the row of its kind."""
    return learner.removesuffix("3d")


def _cell(row: dict[str, str] | None, best: float) -> str:
    if row is None:
        return ""
    mean, half = float(row["mean"]), (float(row["high"]) - float(row["low"])) / 2
    shown = f"{100 * mean:.1f}"
    shown = f"**{shown}**" if mean == best else shown
    mm = f", {row['mm']} mm" if row["mm"] not in ("", "nan") else ""
    return f"{shown} ± {100 * half:.1f}{mm} ({float(row['seconds']):.1f})"


if __name__ == "__main__":
    main()
