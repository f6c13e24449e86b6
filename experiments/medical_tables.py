"""The medical results: one CSV of every number with its interval, a heat-map, a table.

What experiments/medical.py wrote becomes docs/results/medical.csv. From that CSV come
docs/results/medical.png (learner x set x shots: the paired difference to the ImageNet linear probe,
which is the first row), the table in docs/results.md, and the one in docs/choose-a-learner.md, in
which the results on Omniglot and the speeds are too. experiments/tables.py makes them.

Intervals are 95 %, by a t distribution, with the training seeds as the outer level: the variance of
a mean is that of the seeds' means over the number of seeds, plus that of the episodes (averaged
over seeds, which all have the same ones) over their number; degrees of freedom by
Welch-Satterthwaite.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import t

from medical import BAR, METRIC, SHOTS, START
from medshot.core.atomic import write_text
from medshot.learners import learners
from results import markdown, read_csv

TO_BAR = f"{METRIC}, minus the ImageNet linear probe"
TO_START = f"{METRIC}, minus linear probe on the same frozen features"
SEED = f"{METRIC}, seed "
COLUMNS = ("set", "shot", "learner", "encoder", "transductive", "metric", "mean", "low", "high")
Numbers = Mapping[tuple[str, str, int, str], Mapping[str, float]]  # learner, set, shot, metric
LIMIT = 0.15  # of the colors
COSTS = "adapt and answer 25: "


def gather(source: Path, kept: Path) -> None:
    """Keep every number of a run with its interval as one CSV."""
    files = sorted(source.glob("*/*@*.json"))
    write_text(kept, as_csv(json.loads(file.read_text()) for file in files))


def as_csv(rows: Iterable[dict[str, Any]]) -> str:
    """The balanced accuracy of every learner on every set and shot, and its differences."""
    cells: dict[tuple[str, str, int], dict[int, NDArray]] = defaultdict(dict)
    about: dict[tuple[str, str, int], tuple[str, ...]] = {}
    for row in rows:
        for shot, found in row["shots"].items():
            if "scores" in found:
                key = row["learner"], row["set"], int(shot)
                cells[key][row["seed"]] = np.array(found["scores"])
                about[key] = (
                    str(row["transductive"]).lower(),
                    *(found["episodes_hash"], row["hardware"], row["commit"]),
                )
    lines = [",".join((*COLUMNS, "seeds", "episodes", "episodes_hash", "hardware", "commit"))]
    for key, by_seed in sorted(cells.items()):
        name, data, shot = key
        transductive, *made = about[key]
        scores = np.stack([by_seed[seed] for seed in sorted(by_seed)])
        where = [data, shot, *name.split("/"), transductive]
        for metric, values in _metrics(key, scores, sorted(by_seed), cells):
            numbers = [f"{v:.5f}" for v in interval(values)]
            lines.append(_line([*where, metric, *numbers, *values.shape, *made]))
    return "\n".join(lines) + "\n"


def _metrics(
    key: tuple[str, str, int],
    scores: NDArray,
    seeds: Sequence[int],
    cells: Mapping[tuple[str, str, int], Mapping[int, NDArray]],
) -> Iterable[tuple[str, NDArray]]:
    yield METRIC, scores
    for metric, other in ((TO_BAR, BAR), (TO_START, START)):
        theirs = cells.get((other, *key[1:]), {}).get(0)
        if theirs is not None and key[0] != other:
            yield metric, scores - theirs
    if len(seeds) > 1:
        yield from ((f"{SEED}{seed}", row[None]) for seed, row in zip(seeds, scores, strict=True))


def interval(values: NDArray) -> tuple[float, float, float]:
    """Mean, low and high of `seeds x episodes`, the seeds as the outer level."""
    seeds, episodes = values.shape
    mean = float(values.mean())
    outer = values.mean(1).var(ddof=1) / seeds if seeds > 1 else 0.0
    inner = values.mean(0).var(ddof=1) / episodes
    total = outer + inner
    if not total:
        return mean, mean, mean
    degrees = total**2 / (outer**2 / max(seeds - 1, 1) + inner**2 / (episodes - 1))
    half = float(t.ppf(0.975, degrees) * total**0.5)
    return mean, mean - half, mean + half


def read(file: Path) -> Numbers:
    """The CSV by learner/encoder, set, shot and metric."""
    found: dict[tuple[str, str, int, str], dict[str, float]] = {}
    for row in read_csv(file):
        key = f"{row['learner']}/{row['encoder']}", row["set"], int(row["shot"]), row["metric"]
        found[key] = {part: float(row[part]) for part in ("mean", "low", "high", "seeds")}
    return found


def table(found: Numbers) -> str:
    """The bar, then a learner a row, best first: means over the sets, and verdicts at 5 shots."""
    sets, lines = sets_of(found), []
    for name in by_mean(found, sets):
        means = [mean_text(found, name, sets, shot) for shot in SHOTS]
        counts = [verdicts(found, name, sets, against) for against in (TO_BAR, TO_START)]
        lines.append([row_name(name), *means, _seeds(found, name), *counts])
    head = [
        "learner",
        *(f"{s}-shot, mean of {len(sets)}" for s in SHOTS),
        "seeds",
        "5-shot against the ImageNet linear probe: better / no difference / worse",
        "5-shot against a linear probe on the same frozen features",
    ]
    return f"{markdown(head, lines)}\n![heat-map](results/medical.png)\n"


def side_by_side(found: Numbers, omniglot: dict[str, Any], speed: dict[str, Any]) -> str:
    """A learner a row: the medical sets, its Omniglot result, and the speed of adapting."""
    sets, lines, times = sets_of(found), [], _times(speed)
    for name in by_mean(found, sets):
        learner, _, on = name.partition("/")
        cells = [row_name(name), *(mean_text(found, name, sets, shot) for shot in SHOTS)]
        cells += [verdicts(found, name, sets, against) for against in (TO_BAR, TO_START)]
        cells += [_omniglot(omniglot[learner]) if on == "own" and learner in omniglot else ""]
        lines.append([*cells, "1x" if learner == "linear-probe" else times.get(learner, "")])
    head = [
        "learner",
        *(f"{s}-shot" for s in SHOTS),
        "5-shot against the ImageNet linear probe: better / no difference / worse",
        "the same, against a linear probe on the same features",
        "Omniglot 5-way 1-shot",
        "speed of adapting",
    ]
    return markdown(head, lines)


def _omniglot(row: dict[str, Any]) -> str:
    text = f"{100 * row['metrics']['accuracy']['mean']:.1f} after {row['cpu_minutes']:.0f} min"
    return text + (", tr." if row["transductive"] else "")


def _times(speed: dict[str, Any]) -> dict[str, str]:
    rows = {row["name"]: row["ratio"] for row in speed["adapting"]["rows"]}
    return {n.removeprefix(COSTS): f"{r:.2g}x" for n, r in rows.items() if n.startswith(COSTS)}


def draw(found: Numbers, docs: Path) -> None:
    """Learner x set x shots: percentage points better (blue) or worse (red) than the bar.

    The first row has the bar's balanced accuracy in percent. Below it, a number is written where
    the interval of the difference leaves out 0.
    """
    sets = sets_of(found)
    names = by_mean(found, sets)
    figure = Figure(figsize=(0.42 * len(sets) * len(SHOTS) + 2.5, 0.21 * len(names) + 1.6))
    axes = figure.subplots(1, len(SHOTS), sharey=True)
    image: Any = None
    for axis, shot in zip(axes, SHOTS, strict=True):
        values = _grid(found, names, sets, shot, "mean")
        values[0] = 0.0
        image = axis.imshow(values, cmap="RdBu", vmin=-LIMIT, vmax=LIMIT, aspect="auto")
        _write_numbers(axis, values, *(_grid(found, names, sets, shot, p) for p in ("low", "high")))
        for j, name in enumerate(sets):
            own = found[BAR, name, shot, METRIC]["mean"]
            axis.text(j, 0, f"{100 * own:.0f}", ha="center", va="center", fontsize=6, weight="bold")
        axis.axhline(0.5, color="black", linewidth=0.8)
        axis.set_title(f"{shot} image{'s' if shot > 1 else ''} a class", fontsize=9)
        axis.set_xticks(range(len(sets)), sets, rotation=60, ha="right", fontsize=7)
        axis.set_yticks(
            range(len(names)), [row_name(n).replace("**", "") for n in names], fontsize=7
        )
        axis.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, fraction=0.012, pad=0.01)
    bar.set_label("balanced accuracy minus the ImageNet linear probe's", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    figure.savefig(docs / "results" / "medical.png", dpi=130, bbox_inches="tight")


def _write_numbers(axis: Any, values: NDArray, low: NDArray, high: NDArray) -> None:
    for (i, j), value in np.ndenumerate(values):
        if low[i, j] > 0 or high[i, j] < 0:
            color = "white" if abs(value) > 0.6 * LIMIT else "black"
            text = f"{100 * value:+.0f}"
            axis.text(j, i, text, ha="center", va="center", fontsize=5.5, color=color)


def _grid(found: Numbers, names: list[str], sets: list[str], shot: int, part: str) -> NDArray:
    nothing = {part: np.nan}
    return np.array([[found.get((n, s, shot, TO_BAR), nothing)[part] for s in sets] for n in names])


def sets_of(found: Numbers) -> list[str]:
    """The sets that were judged."""
    return sorted({key[1] for key in found})


def by_mean(found: Numbers, sets: list[str]) -> list[str]:
    """The bar, then the others by their mean at 5 shots."""
    others = {key[0] for key in found} - {BAR}
    return [BAR, *sorted(others, key=lambda n: -float(np.nan_to_num(mean(found, n, sets, 5))))]


def mean(found: Numbers, name: str, sets: list[str], shot: int, metric: str = METRIC) -> float:
    """The mean over `sets`; nan where one has none."""
    nothing = {"mean": np.nan}
    return float(np.mean([found.get((name, s, shot, metric), nothing)["mean"] for s in sets]))


def mean_text(found: Numbers, name: str, sets: list[str], shot: int) -> str:
    """The mean over the sets in percent, with the deviation between training seeds."""
    if np.isnan(mean(found, name, sets, shot)):
        return "not on all sets"
    seeds = sorted({k[3] for k in found if k[0] == name and k[3].startswith(SEED)})
    means = [mean(found, name, sets, shot, seed) for seed in seeds]
    spread = f" ± {100 * np.std(means, ddof=1):.1f}" if len(means) > 1 else ""
    return f"{100 * mean(found, name, sets, shot):.1f}{spread}"


def _seeds(found: Numbers, name: str) -> str:
    if not name.endswith("/own"):
        return ""
    return f"{min(v['seeds'] for k, v in found.items() if k[0] == name and k[3] == METRIC):.0f}"


def verdicts(found: Numbers, name: str, sets: list[str], against: str) -> str:
    """On how many sets the interval at 5 shots is above 0, holds it, is below."""
    rows = [found[key] for s in sets if (key := (name, s, 5, against)) in found]
    better, worse = sum(v["low"] > 0 for v in rows), sum(v["high"] < 0 for v in rows)
    return f"{better} / {len(rows) - better - worse} / {worse}" if rows else ""


def row_name(name: str) -> str:
    """The name in a table: learner, and what it stands on if it was not meta-trained."""
    learner, _, on = name.partition("/")
    words = {
        "own": learner,
        "pixels": f"{learner}, raw pixels",
        "mobilenet": f"{learner}, all 5642 features",
        "adapter": f"{learner}, adapter before meta-training",
        "bar": "**ImageNet linear probe**",
    }
    return f"{words[on]} (transductive)" if learners()[learner].transductive else words[on]


def _line(cells: list[Any]) -> str:
    return ",".join(f'"{c}"' if "," in str(c) else str(c) for c in cells)
