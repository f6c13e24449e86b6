"""The result of experiments/fusing.py as tables in docs/stages/fuse.md, and kept beside it.

    python experiments/fusing_tables.py [--from runs/fusing] [--to docs]

Without --from, the tables are made again from the result that is kept.
"""

from typing import Any

from pages import fill, kept_result, made_on, percent

TITLES = {
    "notes": "view of a chest X-ray (COVID-19)",
    "notes_missing": "the same, a third of the patients without notes",
    "heart_table": "heart disease, table",
    "heart_sounds": "heart sounds, 4 kinds (no patients known)",
}
METRICS = ("balanced accuracy", "macro AUROC", "difference")


def main() -> None:
    found, docs = kept_result(__doc__, "fusing")
    seconds = sum(part["cpu_seconds"] for part in found["parts"])
    about = f"{seconds} CPU seconds in all. {made_on(found)}"
    tables = "\n".join(table(part) for part in found["parts"])
    fill(docs / "stages" / "fuse.md", "fusing", f"{tables}\n{about}\n")


def table(part: dict[str, Any]) -> str:
    """A row a method, in percent."""
    title = TITLES.get(part["part"], f"`{part['part']}`")
    lines = [f"| {title} | {' | '.join(METRICS)} |", "|---" * (1 + len(METRICS)) + "|"]
    for name, row in part["rows"].items():
        lines.append(f"| {name} | {' | '.join(_cell(row[m]) for m in METRICS)} |")
    return "\n".join(lines) + "\n"


def _cell(found: dict[str, Any]) -> str:
    to_itself = found["mean"] == found["low"] == found["high"] == 0
    return "" if to_itself else percent(found)


if __name__ == "__main__":
    main()
