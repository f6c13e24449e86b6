"""The result of experiments/around.py as tables in docs/results.md, and kept beside it.

    python experiments/around_tables.py [--from runs/around] [--to docs]

Without --from, the tables are made again from the result that is kept.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from medshot.core.files import write_text
from pages import fill

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="source", type=Path, help="folder of the run")
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    kept = options.to / "results" / "around" / "result.json"
    if options.source:
        write_text(kept, (options.source / "result.json").read_text())
    found = json.loads(kept.read_text())
    text = f"{_omniglot(found['omniglot'])}\n{_in_turn(found['in turn'])}\n"
    text += f"{found['hardware']}; commit `{found['commit']}`.\n"
    fill(options.to / "results.md", "around", text)


def _omniglot(found: dict[str, Any]) -> str:
    lines = ["| prototypical network | Omniglot 5-way 1-shot | minus plain |", "|---|---|---|"]
    lines += [f"| {name} | {_score(row)} | {_difference(row)} |" for name, row in found.items()]
    return "\n".join(lines) + "\n"


def _in_turn(found: dict[str, Any]) -> str:
    names = list(next(iter(found.values())))
    head = ["set, in the order of learning", names[0], *(f"{n}, minus this" for n in names[1:])]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, rows in found.items():
        first, *others = rows.values()
        cells = [f"`cls_{name}`", _score(first), *(_difference(row) for row in others)]
        lines.append(f"| {' | '.join(cells)} |")
    means = [[row[n]["balanced accuracy"]["mean"] for row in found.values()] for n in names]
    first, *others = [100 * sum(column) / len(column) for column in means]
    lines.append(f"| mean | {first:.1f} | {' | '.join(f'{o - first:+.1f}' for o in others)} |")
    return "\n".join(lines) + "\n"


def _score(row: dict[str, Any]) -> str:
    score = row["balanced accuracy"]
    return f"{100 * score['mean']:.1f} ± {50 * (score['high'] - score['low']):.1f}"


def _difference(row: dict[str, Any]) -> str:
    d = row["minus the first"]
    return f"{100 * d['mean']:+.1f} [{100 * d['low']:.1f}, {100 * d['high']:.1f}]" if d else ""


if __name__ == "__main__":
    main()
