"""The head in the box against the ImageNet linear probe: table and reliability plot in docs.

    python experiments/stacked_probe_tables.py [--from runs/stacked] [--to docs]

With --from, what experiments/stacked_probe.py wrote becomes <to>/results/stacked/result.json. From
it come the block `stacked` of <to>/results.md and <to>/results/stacked/reliability.png.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from medshot.core.atomic import write_text
from pages import fill, percent, tables_options
from stacked_probe import MODALITIES, SHOTS

NEAR = 0.03  # of balanced accuracy: what asks for no features comes so near
T = 1.96


def main() -> None:
    options = tables_options(__doc__)
    kept = options.to / "results" / "stacked" / "result.json"
    if options.source:
        write_text(kept, json.dumps(_gathered(options.source), indent=1) + "\n")
    found = json.loads(kept.read_text())
    fill(options.to / "results.md", "stacked", table(found))
    reliability(found, kept.with_name("reliability.png"))


def _gathered(folder: Path) -> dict[str, Any]:
    rows, marks = {}, {}
    for names in MODALITIES.values():
        for name in names:
            for shot in SHOTS:
                file = folder / "by modality" / f"{name} {shot}.json"
                if file.exists():
                    rows.setdefault(name, {})[str(shot)] = json.loads(file.read_text())
            file = folder / f"{name} marks.json"
            if file.exists():
                marks[name] = json.loads(file.read_text())
    return {"rows": rows, "marks": marks}


def table(found: dict[str, Any]) -> str:
    """A set a row: difference to the bar at each shot; then the means over sets."""
    rows, kind = found["rows"], {n: k for k, names in MODALITIES.items() for n in names}
    lines = [
        "| set left out with its modality | "
        + " | ".join(f"bar, {s}-shot | minus bar" for s in SHOTS)
        + " |",
        "|---|" + "---|---|" * len(SHOTS),
    ]
    easy = {name for name in rows if _easy(name, found)}
    for name, cells in rows.items():
        parts = []
        for shot in map(str, SHOTS):
            one = cells.get(shot)
            parts += (
                [f"{100 * one['bar']['mean']:.1f}", percent(one["difference"], "+")]
                if one
                else ["", ""]
            )
        lines.append(
            f"| {name} ({kind[name]}){' *' if name in easy else ''} | {' | '.join(parts)} |"
        )
    for title, names in (
        (f"**mean of {len(rows)} sets**", list(rows)),
        (
            f"**without those marked *** ({len(rows) - len(easy)})",
            [n for n in rows if n not in easy],
        ),
    ):
        parts = []
        for shot in map(str, SHOTS):
            some = [rows[n][shot] for n in names if shot in rows[n]]
            bar = np.mean([one["bar"]["mean"] for one in some])
            parts += [
                f"{100 * bar:.1f}",
                percent(_over_sets([one["difference"]["mean"] for one in some]), "+"),
            ]
        lines.append(f"| {title} | {' | '.join(parts)} |")
    ece = [f"{s}-shot {_ece(rows, s, 'head')} (bar {_ece(rows, s, 'bar')})" for s in SHOTS]
    first = next(iter(next(iter(rows.values())).values()))
    about = (
        f"Balanced accuracy in percent, {first['difference']['n']} episodes a cell, intervals over "
        "episodes; of means over the sets. * mean color or an untrained encoder comes within 3 "
        "points of the better of the two at 5 shots. Expected calibration error, mean over sets: "
        f"{', '.join(ece)}. {first['hardware']}; commit `{first['commit']}`."
    )
    return (
        "\n".join([*lines, "", about, "", "![reliability](results/stacked/reliability.png)"]) + "\n"
    )


def _ece(rows: dict[str, Any], shot: int, method: str) -> str:
    return f"{np.mean([r[str(shot)]['ece'][method] for r in rows.values() if str(shot) in r]):.3f}"


def _easy(name: str, found: dict[str, Any]) -> bool:
    marks, cell = found["marks"].get(name), found["rows"][name].get("5")
    if not marks or not cell:
        return False
    best = max(cell["head"]["mean"], cell["bar"]["mean"])
    return max(marks["mean color"], marks["untrained"]) > best - NEAR


def _over_sets(values: list[float]) -> dict[str, float]:
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / len(values) ** 0.5)
    return {"mean": mean, "low": mean - T * error, "high": mean + T * error}


def reliability(found: dict[str, Any], file: Path) -> None:
    """Confidence against the share of right answers, all sets together, head and bar."""
    figure = Figure(figsize=(9, 3.2))
    for axis, shot in zip(figure.subplots(1, len(SHOTS), sharey=True), SHOTS, strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for method, color in (("bar", "tab:orange"), ("head", "tab:blue")):
            bins = np.sum(
                [
                    _sums(r[str(shot)]["bins"][method])
                    for r in found["rows"].values()
                    if str(shot) in r
                ],
                0,
            )
            n, confidence, right = bins[bins[:, 0] > 0].T
            label = {"bar": "ImageNet linear probe", "head": "stacked probe"}[method]
            axis.plot(confidence / n, right / n, "o-", color=color, markersize=3, label=label)
        axis.set_title(f"{shot} image{'s' if shot > 1 else ''} a class", fontsize=9)
        axis.set_xlabel("confidence", fontsize=8)
        axis.tick_params(labelsize=7)
    figure.axes[0].set_ylabel("share right", fontsize=8)
    figure.axes[0].legend(fontsize=7)
    figure.savefig(file, dpi=130, bbox_inches="tight")


def _sums(bins: list[list[float]]) -> np.ndarray:
    return np.array([[n, n * confidence, n * right] for n, confidence, right in bins])


if __name__ == "__main__":
    main()
