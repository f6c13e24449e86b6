"""The result of experiments/quantising.py as a table in docs/stages/export.md, and kept beside it.

    python experiments/quantising_tables.py [--from runs/quantising] [--to docs]

Without --from, the table is made again from the result that is kept.
"""

from typing import Any

from pages import fill, kept_result, made_on, percent


def main() -> None:
    found, docs = kept_result(__doc__, "quantising")
    text = f"{table(found['rows'])}\n\n{made_on(found)}\n"
    fill(docs / "stages" / "export.md", "quantising", text)


def table(found: list[dict[str, Any]]) -> str:
    """A row a set: before, after, and the paired difference, in percent."""
    names = list(found[0]["rows"])
    lines = [f"| set | {' | '.join(names)} | MB |", "|---" * (len(names) + 2) + "|"]
    for one in found:
        size = " → ".join(f"{n / 1e6:.2f}" for n in one["bytes"])
        cells = [_cell(one["rows"][name]) for name in names]
        lines.append(f"| `{one['set']}` ({one['test']} images) | {' | '.join(cells)} | {size} |")
    return "\n".join(lines)


def _cell(row: dict[str, Any]) -> str:
    minus = row.get("difference")
    return percent(row) + (f", difference {percent(minus, '+')}" if minus else "")


if __name__ == "__main__":
    main()
