"""The result of experiments/around.py as tables in docs/results.md, and kept beside it.

    python experiments/around_tables.py [--from runs/around] [--to docs]

Without --from, the tables are made again from the result that is kept.
"""

from typing import Any

from pages import fill, kept_result, made_on


def main() -> None:
    found, docs = kept_result(__doc__, "around")
    text = f"{_omniglot(found['omniglot'])}\n{_in_turn(found['in turn'])}\n"
    text += f"{made_on(found)}\n"
    fill(docs / "results.md", "around", text)


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
