"""The table of docs/choose-a-learner.md: what each learner was measured to do, side by side.

    python experiments/choose.py [--to docs]

Joins <to>/results/medical.csv (experiments/medical.py), <to>/results/omniglot_*/result.json
(experiments/omniglot.py) and the rows `adapting` of benchmarks/results.json.
"""

import argparse
import json
from pathlib import Path

from medical import SHOTS
from medical_tables import TO_BAR, TO_START, Table, by_mean, read, sets_of, shown, told, verdicts
from pages import fill, learner_of

ROOT = Path(__file__).parents[1]
COSTS = "adapt and answer 25: "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    results = options.to / "results"
    table = read(results / "medical.csv")
    speed = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    lines = _lines(table, _omniglot(results), _times(speed))
    fill(options.to / "choose-a-learner.md", "choose", "\n".join(lines) + "\n")


def _lines(table: Table, omniglot: dict[str, str], times: dict[str, str]) -> list[str]:
    sets = sets_of(table)
    heads = [
        "learner",
        *(f"{s}-shot" for s in SHOTS),
        "5-shot against the ImageNet linear probe: better / no difference / worse",
        "the same, against a linear probe on the same features",
        "Omniglot 5-way 1-shot",
        "speed of adapting",
    ]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in by_mean(table, sets):
        learner = name.partition("/")[0]
        trained = name.endswith("/own")
        cells = [shown(name)]
        cells += [told(table, name, sets, shot) for shot in SHOTS]
        cells += [verdicts(table, name, sets, against) for against in (TO_BAR, TO_START)]
        cells += [
            omniglot.get(learner, "") if trained else "",
            "1x" if learner == "linear-probe" else times.get(learner, ""),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _omniglot(results: Path) -> dict[str, str]:
    found = {}
    for file in results.glob("omniglot_*/result.json"):
        row = json.loads(file.read_text())
        accuracy = 100 * row["metrics"]["accuracy"]["mean"]
        text = f"{accuracy:.1f} after {row['cpu_minutes']:.0f} min"
        found[learner_of(file.parent.name)] = text + (", tr." if row["transductive"] else "")
    return found


def _times(speed: dict) -> dict[str, str]:
    rows = {row["name"]: row["ratio"] for row in speed["adapting"]["rows"]}
    return {n.removeprefix(COSTS): f"{r:.2g}x" for n, r in rows.items() if n.startswith(COSTS)}


if __name__ == "__main__":
    main()
