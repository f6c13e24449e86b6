"""Put the results of the experiments into the documentation, between their markers.

    python experiments/tables.py --from runs [--to docs]

Takes <from>/omniglot_*/result.json and <from>/medical_lodo/*.json, keeps copies under
<to>/results/, writes <to>/results/medical.csv (every mean with its interval), and fills the
blocks of <to>/results.md and of README.md.
"""

import argparse
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medshot.core.files import write_text

ROOT = Path(__file__).parents[1]
SHOTS = (1, 5, 10)
METRIC = "balanced accuracy"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    omniglot = _collect(options.source.glob("omniglot_*/result.json"), options.to, parent=True)
    medical = _collect(sorted(options.source.glob("medical_lodo/*.json")), options.to)
    if omniglot:
        _fill(options.to / "results.md", "omniglot", omniglot_table(omniglot))
    if medical:
        write_text(options.to / "results" / "medical.csv", medical_csv(medical))
        _fill(options.to / "results.md", "medical", medical_text(medical))
    speed = ROOT / "benchmarks" / "results.json"
    if speed.exists():
        _fill(options.to / "results.md", "bench", bench_table(json.loads(speed.read_text())))
    if omniglot and medical:
        _fill(options.to / "choose-a-learner.md", "choose", summary_table(medical))
        _fill(options.to / "protocols.md", "hashes", hashes_table(omniglot, medical))
        text = omniglot_table(omniglot) + "\n" + summary_table(medical)
        _fill(ROOT / "README.md", "results", text)


def omniglot_table(rows: dict[str, dict[str, Any]]) -> str:
    """One row an experiment: published, ours, against the probe, budget, protocol."""
    lines = [
        "| experiment | protocol | published | ours | minus linear probe on its encoder | budget | "
        "transductive | commit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in sorted(rows.items()):
        found = row["metrics"]["accuracy"]
        ours = f"**{100 * found['mean']:.2f} ± {50 * (found['high'] - found['low']):.2f}**"
        budget = f"{row['cpu_minutes']} CPU minutes; {row['hardware']}"
        asked = f"{row['protocol']}, {row['episodes']['count']} episodes"
        published = "none" if row["published"] is None else f"{100 * row['published']:.1f}"
        published += "" if row.get("checked", True) else " (not checked)"
        cells = [f"`experiments/{name}.py`", asked, published, ours, _difference(row), budget]
        cells += ["yes" if row["transductive"] else "no", f"`{row['commit']}`"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _difference(row: dict[str, Any]) -> str:
    found = row.get("minus_probe")
    if not found:
        return ""
    return f"{100 * found['mean']:+.2f} [{100 * found['low']:.2f}, {100 * found['high']:.2f}]"


def hashes_table(omniglot: dict[str, dict[str, Any]], medical: dict[str, dict[str, Any]]) -> str:
    """The hash of each protocol's list of test episodes, as it was used."""
    found = {row["protocol"]: row["episodes"]["fingerprint"] for row in omniglot.values()}
    for row in medical.values():
        for name, cells in row["results"].items():
            found[name] = next(iter(cells.values()))["fingerprint"]
    lines = [f"| `{name}` | `{value}` |" for name, value in sorted(found.items())]
    return "\n".join(["| protocol | hash of its episodes |", "|---|---|", *lines]) + "\n"


def bench_table(found: dict[str, Any]) -> str:
    """One row a comparison, under the conditions of the run."""
    conditions = "; ".join(f"{key}: {value}" for key, value in found["conditions"].items())
    lines = [conditions, "", "| what | ratio [quartiles over rounds] | target | agreement |"]
    lines.append("|---|---|---|---|")
    for name, part in found.items():
        for row in part["rows"] if name != "conditions" else []:
            lines.append(_bench_line(row))
    notes = [part["notes"] for name, part in found.items() if name != "conditions"]
    return "\n".join([*lines, "", *(note for note in notes if note)]) + "\n"


def _bench_line(row: dict[str, Any]) -> str:
    wanted = row["target"]
    verdict = "" if wanted is None else ": met" if row["ratio"] >= wanted else ": **missed**"
    target = "" if wanted is None else f"{wanted:g}x{verdict}"
    ratio = f"{row['ratio']:.2f}x [{row['low']:.2f}, {row['high']:.2f}]"
    return f"| {row['name']} | {ratio} | {target} | {row['agreement']} |"


def medical_text(sets: dict[str, dict[str, Any]]) -> str:
    """The summary, and one table of all sets a shot."""
    parts = [summary_table(sets)]
    parts += [f"### {shot} shot(s)\n\n{shot_table(sets, shot)}" for shot in SHOTS]
    return "\n".join(parts)


def summary_table(sets: dict[str, dict[str, Any]]) -> str:
    """A method a row: the mean over sets, and on how many sets it beats the probe, paired."""
    lines = [
        f"| method / encoder | {' | '.join(f'{s}-shot, mean of {len(sets)}' for s in SHOTS)} | "
        "5-shot against linear probe on the same encoder: better / no difference / worse |",
        "|---|" + "---|" * (len(SHOTS) + 1),
    ]
    for method in _methods(sets):
        means = [_mean_over_sets(sets, method, shot) for shot in SHOTS]
        verdicts = [
            _verdict(_cell(row, name, 5, method)["minus_probe"]) for name, row in sets.items()
        ]
        count = " / ".join(str(verdicts.count(v)) for v in ("better", "same", "worse"))
        shown = "" if method.startswith("linear-probe") else count
        lines.append(f"| {method} | {' | '.join(f'{100 * m:.1f}' for m in means)} | {shown} |")
    return "\n".join(lines) + "\n"


def shot_table(sets: dict[str, dict[str, Any]], shot: int) -> str:
    """A method a row, a set a column: balanced accuracy in percent with half its interval."""
    lines = [f"| method / encoder | {' | '.join(sets)} |", "|---|" + "---|" * len(sets)]
    for method in _methods(sets):
        cells = []
        for name, row in sets.items():
            found = _cell(row, name, shot, method)["metrics"][METRIC]
            cells.append(f"{100 * found['mean']:.1f} ± {50 * (found['high'] - found['low']):.1f}")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def medical_csv(sets: dict[str, dict[str, Any]]) -> str:
    """Every metric of every method on every set and shot, with intervals."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["set", "shot", "method", "encoder", "metric", "mean", "low", "high", "episodes_hash"]
    )
    for name, row in sets.items():
        for shot in SHOTS:
            for key in _methods(sets):
                cell = _cell(row, name, shot, key)
                found = cell["metrics"] | {
                    f"{METRIC}, minus linear probe on the same encoder": cell["minus_probe"],
                    f"{METRIC}, minus linear probe on pixels": cell["minus_probe_on_pixels"],
                }
                for metric, v in found.items():
                    numbers = [f"{v[part]:.5f}" for part in ("mean", "low", "high")]
                    where = [name, shot, *key.split("/"), metric]
                    table.writerow([*where, *numbers, cell["fingerprint"]])
    return text.getvalue()


def _methods(sets: dict[str, dict[str, Any]]) -> list[str]:
    first = next(iter(sets.values()))
    return list(next(iter(first["results"].values())))


def _cell(row: dict[str, Any], name: str, shot: int, method: str) -> dict[str, Any]:
    return row["results"][f"medshot26/{name}/{shot}s"][method]


def _mean_over_sets(sets: dict[str, dict[str, Any]], method: str, shot: int) -> float:
    cells = [_cell(row, name, shot, method) for name, row in sets.items()]
    return sum(cell["metrics"][METRIC]["mean"] for cell in cells) / len(cells)


def _verdict(difference: dict[str, float]) -> str:
    if difference["low"] > 0:
        return "better"
    return "worse" if difference["high"] < 0 else "same"


def _collect(files: Iterator[Path] | list[Path], to: Path, parent: bool = False) -> dict[str, Any]:
    found = {}
    for file in files:
        name = file.parent.name if parent else file.stem
        found[name] = json.loads(file.read_text())
        kept = f"{name}/result.json" if parent else f"medical_lodo/{name}.json"
        write_text(to / "results" / kept, json.dumps(found[name], indent=1) + "\n")
    return dict(sorted(found.items()))


def _fill(page: Path, block: str, text: str) -> None:
    begin, end = f"<!-- {block}:begin -->", f"<!-- {block}:end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    write_text(page, pattern.sub(lambda _: f"{begin}\n\n{text}\n{end}", page.read_text()))


if __name__ == "__main__":
    main()
