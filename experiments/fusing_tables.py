"""The result of experiments/fusing.py as tables in docs/stages/fuse.md, and kept beside it.

    python experiments/fusing_tables.py [--from runs/fusing] [--to docs]

Without --from, the tables are made again from the result that is kept.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from medshot.core.files import write_text
from pages import fill

ROOT = Path(__file__).parents[1]
TITLES = {
    "notes": "view of a chest X-ray (COVID-19)",
    "notes_missing": "the same, a third of the patients without notes",
    "heart_table": "heart disease, table",
    "heart_sounds": "heart sounds, 4 kinds (no patients known)",
}
METRICS = ("balanced accuracy", "macro AUROC", "difference")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="source", type=Path, help="folder of the run")
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    kept = options.to / "results" / "fusing" / "result.json"
    if options.source:
        write_text(kept, (options.source / "result.json").read_text())
    found = json.loads(kept.read_text())
    seconds = sum(part["cpu_seconds"] for part in found["parts"])
    about = f"{seconds} CPU seconds in all. {found['hardware']}; commit `{found['commit']}`."
    tables = "\n".join(table(part) for part in found["parts"])
    fill(options.to / "stages" / "fuse.md", "fusing", f"{tables}\n{about}\n")


def table(part: dict[str, Any]) -> str:
    """A row a method, in percent."""
    title = TITLES.get(part["part"], f"`{part['part']}`")
    lines = [f"| {title} | {' | '.join(METRICS)} |", "|---" * (1 + len(METRICS)) + "|"]
    for name, row in part["rows"].items():
        lines.append(f"| {name} | {' | '.join(_cell(row[m]) for m in METRICS)} |")
    return "\n".join(lines) + "\n"


def _cell(found: dict[str, Any]) -> str:
    mean, low, high = found["mean"], found["low"], found["high"]
    if mean == low == high == 0:  # to itself
        return ""
    return f"{100 * mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


if __name__ == "__main__":
    main()
