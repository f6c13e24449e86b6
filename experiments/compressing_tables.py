"""The result of experiments/compressing.py as a table in docs/stages/compress.md, and kept there.

    python experiments/compressing_tables.py [--from runs/compressing] [--to docs]

Without --from, the table is made again from the result that is kept.
"""

import statistics
from typing import Any

from pages import fill, kept_result, made_on, percent

METRIC = "balanced accuracy"
SMALLER, FASTER, POINTS = 8, 4, 0.5  # what is aimed at, on the median set


def main() -> None:
    found, docs = kept_result(__doc__, "compressing")
    steps = ", ".join(f"{name} {n}" for name, n in found["steps"].items())
    about = f"Steps: {steps}. {made_on(found)}"
    text = "\n".join([*by_set(found["rows"]), "", *medians(found["rows"]), "", about, ""])
    fill(docs / "stages" / "compress.md", "compressing", text)


def by_set(rows: list[dict[str, Any]]) -> list[str]:
    """A row a set and variant."""
    head = ("set", "variant", "MB", "ms", "memory MB", f"{METRIC} %", "difference, points")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        for name, cost in row["costs"].items():
            scores = row["scores"][name]
            cells = [f"`{row['set']}`", name, f"{cost['megabytes']:.3f}"]
            cells += [f"{cost['milliseconds']:.2f}", f"{cost['memory']:.1f}"]
            minus = scores.get("difference")
            cells += [percent(scores[METRIC]), percent(minus) if minus else ""]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def medians(rows: list[dict[str, Any]]) -> list[str]:
    """What each variant gains and loses on the median set, and whether that is enough."""
    first, *others = rows[0]["costs"]
    head = ("variant", "times smaller", "times faster", "points, median set", "target")
    lines = [f"Medians over {len(rows)} sets (the target: {SMALLER} times smaller, {FASTER} times "]
    lines[0] += f"faster, at most {POINTS} points lost):"
    lines += ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name in others:
        size, time = (
            statistics.median(r["costs"][first][key] / r["costs"][name][key] for r in rows)
            for key in ("megabytes", "milliseconds")
        )
        points = statistics.median(100 * r["scores"][name]["difference"]["mean"] for r in rows)
        met = size >= SMALLER and time >= FASTER and points >= -POINTS
        cells = [name, f"{size:.1f}", f"{time:.1f}", f"{points:+.1f}", "met" if met else "missed"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
