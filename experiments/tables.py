"""Put the results of Omniglot and of the benchmarks into the documentation.

    python experiments/tables.py [--from runs] [--to docs]

Takes <from>/omniglot_*/result.json, keeps copies under <to>/results/, and fills the blocks of
<to>/results.md, <to>/protocols.md and README.md. Those of the medical sets: medical_tables.py.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from medshot.core.files import write_text
from medshot.evaluation.protocol import VARIABLE, protocols
from pages import fill, learner_of

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    if omniglot := _collect(options.source, options.to):
        fill(options.to / "results.md", "omniglot", omniglot_table(omniglot))
        fill(ROOT / "README.md", "results", short_table(omniglot))
    speed = ROOT / "benchmarks" / "results.json"
    if speed.exists():
        fill(options.to / "results.md", "bench", bench_table(json.loads(speed.read_text())))
    if os.environ.get(VARIABLE):
        fill(options.to / "protocols.md", "hashes", hashes_table())


def omniglot_table(rows: dict[str, dict[str, Any]]) -> str:
    """One row an experiment: published, ours, against the probe, budget, protocol."""
    lines = [
        "| experiment | protocol | published | ours | minus linear probe on its encoder | budget | "
        "transductive | commit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in sorted(rows.items()):
        budget = f"{row['cpu_minutes']} CPU minutes; {row['hardware']}"
        asked = f"{row['protocol']}, {row['episodes']['count']} episodes"
        cells = [
            f"`omniglot.py --only {learner_of(name)}`",
            asked,
            _published(row),
            _ours(row),
            _difference(row),
        ]
        cells.append(budget)
        cells += ["yes" if row["transductive"] else "no", f"`{row['commit']}`"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _difference(row: dict[str, Any]) -> str:
    found = row.get("minus_probe")
    if not found:
        return ""
    return f"{100 * found['mean']:+.2f} [{100 * found['low']:.2f}, {100 * found['high']:.2f}]"


def short_table(rows: dict[str, dict[str, Any]]) -> str:
    """One row a learner: published, ours, minutes."""
    lines = ["| learner | published | ours | CPU minutes |", "|---|---|---|---|"]
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["metrics"]["accuracy"]["mean"]):
        learner = learner_of(name) + (" (transductive)" if row["transductive"] else "")
        lines.append(f"| {learner} | {_published(row)} | {_ours(row)} | {row['cpu_minutes']} |")
    return "\n".join(lines) + "\n"


def _ours(row: dict[str, Any]) -> str:
    found = row["metrics"]["accuracy"]
    return f"**{100 * found['mean']:.2f} ± {50 * (found['high'] - found['low']):.2f}**"


def _published(row: dict[str, Any]) -> str:
    if row["published"] is None:
        return "none"
    checked = "" if row.get("checked", True) else " (not checked)"
    return f"{100 * row['published']:.1f}{checked}"


def hashes_table() -> str:
    """The hash of each protocol's list of test episodes."""
    lines = []
    for name, rules in sorted(protocols().items()):
        found = rules.sampler(rules.dataset()).fingerprint(rules.episodes)
        lines.append(f"| `{name}` | `{found}` |")
    return "\n".join(["| protocol | hash of its episodes |", "|---|---|", *lines]) + "\n"


def bench_table(found: dict[str, Any]) -> str:
    """One row a comparison, each benchmark under the conditions of its run."""
    lines = []
    for name, part in found.items():
        conditions = "; ".join(f"{key}: {value}" for key, value in part["conditions"].items())
        lines += [f"### {name}", "", conditions, ""]
        lines += [
            "| what | ratio [quartiles over rounds] | target | agreement |",
            "|---|---|---|---|",
        ]
        lines += [_bench_line(row) for row in part["rows"]]
        lines += ["", *(["```", part["notes"], "```", ""] if part["notes"] else [])]
    return "\n".join(lines)


def _bench_line(row: dict[str, Any]) -> str:
    wanted = row["target"]
    verdict = "" if wanted is None else ": met" if row["ratio"] >= wanted else ": **missed**"
    target = "" if wanted is None else f"{wanted:g}x{verdict}"
    ratio = f"{row['ratio']:.2f}x [{row['low']:.2f}, {row['high']:.2f}]"
    return f"| {row['name']} | {ratio} | {target} | {row['agreement']} |"


def _collect(source: Path, to: Path) -> dict[str, dict[str, Any]]:
    """All rows kept under `to`, those of `source` added or put in place of older ones."""
    for file in source.glob("omniglot_*/result.json"):
        kept = to / "results" / file.parent.name / "result.json"
        write_text(kept, json.dumps(json.loads(file.read_text()), indent=1) + "\n")
    files = sorted((to / "results").glob("omniglot_*/result.json"))
    return {file.parent.name: json.loads(file.read_text()) for file in files}


if __name__ == "__main__":
    main()
