"""The results of experiments/pretraining.py as a table in docs/stages/pretrain.md, and kept.

    python experiments/pretraining_tables.py [--from runs/pretraining] [--to docs]

Without --from, the table is made again from the results that are kept.
"""

import json
from pathlib import Path
from typing import Any

from medshot.core.atomic import write_text
from pages import fill, percent, tables_options
from pretraining import JUDGED, METRIC, MOBILENETS, NONE, OBJECTIVES

AUROC = "macro AUROC"
ROWS = (NONE, "pixels", *OBJECTIVES, *MOBILENETS)
Found = dict[tuple[str, str], dict[str, Any]]


def main() -> None:
    options = tables_options(__doc__)
    kept = options.to / "results" / "pretraining.json"
    if options.source:
        rows = [json.loads(file.read_text()) for file in _files(options.source)]
        write_text(kept, json.dumps([_short(row) for row in rows], indent=1) + "\n")
    found = {(row["set"], row["encoder"]): row for row in json.loads(kept.read_text())}
    fill(options.to / "stages" / "pretrain.md", "pretraining", f"{table(found)}\n{about(found)}\n")


def _files(source: Path) -> list[Path]:
    return sorted(file for name in JUDGED for file in (source / name).glob("*.json"))


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """Without the score of every episode."""
    return {name: value for name, value in row.items() if name != "scores"}


def table(found: Found) -> str:
    """A row an encoder, a column a set."""
    sets = [name for name in JUDGED if (name, NONE) in found]
    lines = [f"| encoder | {' | '.join(f'`{name}`' for name in sets)} |"]
    lines.append("|---" * (len(sets) + 1) + "|")
    for key in ROWS:
        cells = [_cell(found.get((name, key))) for name in sets]
        lines.append(f"| {key} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def about(found: Found) -> str:
    """What it ran on, and how long pretraining took."""
    seconds = [row["cpu_seconds"] for (_, key), row in found.items() if key in OBJECTIVES]
    spent = f"{min(seconds):.0f} to {max(seconds):.0f} CPU seconds" if seconds else "not run"
    where = " and ".join(
        sorted({f"{r['hardware']}, commit `{r['commit']}`" for r in found.values()})
    )
    return f"Pretraining, reading the images included: {spent}. {where}."


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "not run"
    if "not done" in row:
        return "no data of colour left"
    accuracy, auroc = (percent(row["metrics"][metric]) for metric in (METRIC, AUROC))
    minus = row.get("minus_untrained")
    return f"{accuracy} / {auroc}" + (f"<br>{percent(minus, '+')}" if minus else "")


if __name__ == "__main__":
    main()
