"""Was meta-training at its end? The validation loss of each learner that descends, as a picture.

    python experiments/curves.py [--to docs]

Reads <to>/results/omniglot_*/result.json, those of protocol finn17, draws <to>/results/descend.png
and puts a table into <to>/results.md: the loss at the end, and how much it fell in the last quarter
of the steps. Validation is on classes that are neither trained nor tested on.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pages import fill, learner_of

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    rows = {}
    for file in sorted((options.to / "results").glob("omniglot_*/result.json")):
        row = json.loads(file.read_text())
        if row["protocol"].startswith("finn17") and row.get("curve"):
            rows[learner_of(file.parent.name)] = row
    draw(rows, options.to / "results" / "descend.png")
    fill(options.to / "results.md", "descend", table(rows))


def table(rows: dict[str, dict[str, Any]]) -> str:
    """A learner a row: accuracy, minutes, and what the last quarter of the steps still brought."""
    lines = [
        "| learner | accuracy | CPU minutes | steps | validation loss at the end | "
        "fell in the last quarter by |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in sorted(rows.items(), key=_accuracy):
        steps, end = row["curve"][-1]
        before = next(loss for step, loss in row["curve"] if step >= 0.75 * steps)
        fell = f"{100 * (1 - end / before):.0f} %"
        cells = [name, f"{-100 * _accuracy((name, row)):.2f}", row["cpu_minutes"], steps, end, fell]
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join([*lines, "", "![validation loss](results/descend.png)"]) + "\n"


def draw(rows: dict[str, dict[str, Any]], file: Path) -> None:
    """Validation loss against CPU minutes, both in logarithms; the best learner named first."""
    figure = Figure(figsize=(7.5, 4.5))
    axis = figure.subplots()
    for place, (name, row) in enumerate(sorted(rows.items(), key=_accuracy)):
        last = row["curve"][-1][0]
        minutes = [row["cpu_minutes"] * step / last for step, _ in row["curve"]]
        style = ("-", "--", ":")[place // 6 % 3]
        label = f"{name}: {-100 * _accuracy((name, row)):.1f} %"
        axis.plot(minutes, [loss for _, loss in row["curve"]], style, lw=1.4, label=label)
    axis.set(xscale="log", yscale="log", xlabel="CPU minutes", ylabel="validation loss")
    axis.set_xticks([1, 2, 5, 10, 20, 50], [1, 2, 5, 10, 20, 50])
    axis.set_yticks([0.1, 0.2, 0.5, 1.0], [0.1, 0.2, 0.5, 1.0])
    axis.minorticks_off()
    axis.grid(visible=True, alpha=0.2)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(file, dpi=130, bbox_inches="tight")


def _accuracy(item: tuple[str, dict[str, Any]]) -> float:
    return -item[1]["metrics"]["accuracy"]["mean"]


if __name__ == "__main__":
    main()
