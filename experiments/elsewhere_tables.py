"""The result of experiments/elsewhere.py as tables in docs/stages/pretrain.md, and kept.

    python experiments/elsewhere_tables.py [--from runs/elsewhere] [--to docs]

Without --from, the tables are made again from the result that is kept.
"""

from typing import Any

from elsewhere import EPISODES, FIRST, METRICS, MOST, SHOTS
from pages import fill, kept_result, percent

ACCURACY = METRICS[0]
Rows = list[dict[str, Any]]


def main() -> None:
    found, docs = kept_result(__doc__, "elsewhere")
    rows: Rows = found["rows"]
    sets = list(dict.fromkeys(row["set"] for row in rows))
    parts = [_encoders(rows), *(_scores(rows, sets, shot) for shot in SHOTS), _about(rows)]
    fill(docs / "stages" / "pretrain.md", "elsewhere", "\n".join(parts))


def _encoders(rows: Rows) -> str:
    """A row an encoder: what it costs, and its mean difference to the first over all sets."""
    head = ["encoder, pixels", "parameters, million", "features", "CPU ms an image"]
    head += [f"{shot} shot{'s' * (shot > 1)}" for shot in SHOTS]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for key in dict.fromkeys(row["encoder"] for row in rows):
        own = [row for row in rows if row["encoder"] == key]
        times = sorted(row["cpu_ms_an_image"] for row in own)
        cells = [key, f"{own[0]['parameters'] / 1e6:.1f}", str(own[0]["features"])]
        cells += [f"{times[len(times) // 2]:.0f}"]
        cells += [_mean([row for row in own if row["shot"] == shot]) for shot in SHOTS]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _mean(rows: Rows) -> str:
    """The mean over the sets, and how far it is from that of the first encoder."""
    mean = sum(row["metrics"][ACCURACY]["mean"] for row in rows) / len(rows)
    if rows[0]["encoder"] == FIRST:
        return f"{100 * mean:.1f}"
    minus = sum(row["minus_first"][ACCURACY]["mean"] for row in rows) / len(rows)
    return f"{100 * mean:.1f} ({100 * minus:+.1f})"


def _scores(rows: Rows, sets: list[str], shot: int) -> str:
    """A row an encoder, a column a set: balanced accuracy, and below it the paired difference."""
    lines = [f"{shot} image{'s' * (shot > 1)} a class:", ""]
    lines += [f"| encoder, pixels | {' | '.join(f'`{name}`' for name in sets)} |"]
    lines += ["|---" * (len(sets) + 1) + "|"]
    at = {(row["encoder"], row["set"]): row for row in rows if row["shot"] == shot}
    for key in dict.fromkeys(row["encoder"] for row in rows):
        lines.append(f"| {key} | {' | '.join(_cell(at.get((key, name))) for name in sets)} |")
    return "\n".join([*lines, ""])


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "not run"
    minus = row.get("minus_first")
    below = f"<br>{percent(minus[ACCURACY], '+')}" if minus else ""
    return percent(row["metrics"][ACCURACY]) + below


def _about(rows: Rows) -> str:
    """The sets as they were judged, the command and where it ran."""
    sets = {row["set"]: row for row in rows}
    said = [
        f"`{name}` {row['images']} images, patients {row['patients']}" for name, row in sets.items()
    ]
    where = sorted({f"{row['hardware']}; commit `{row['commit']}`" for row in rows})
    return (
        f"{EPISODES} episodes a cell, at most {MOST} images of each class: {'; '.join(said)}. "
        f"`python experiments/elsewhere.py --out runs/elsewhere --threads 1`; {' and '.join(where)}"
        ".\n"
    )


if __name__ == "__main__":
    main()
