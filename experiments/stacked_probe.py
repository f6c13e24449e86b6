"""The head in the box: its prior made, and judged on sets and modalities that it has not seen.

    python experiments/stacked_probe.py --out runs/stacked [--episodes 400] [--prior-only]
    python experiments/stacked_probe.py targets

Encodes the 2-D `cls_*` sets of $MEDSHOT_DATA once (encoded_sets.py, which makes the priors too),
and writes to --out what it has, so that a run that was cut goes on. `--prior-only` makes the prior
of the package, from the sets whose license is open (`OPEN`), and stops.

1. Evaluation: 400 episodes a set at 1, 5 and 20 images a class, 10 queries a class, patients apart
   (also where patients are only guessed), with the prior that knows no set of the modality, or
   with `--leave set` not the set itself; on the
   same episodes the bar: the same frozen network at 224 pixels, the mean of its last map, L2,
   logistic regression with C = 100.
2. What asks for no features (`--marks`): mean color (ridge regression on three numbers) and an
   untrained conv4 (linear probe), 5 images a class, 50 episodes. A set on which one of them comes
   within 3 points of the best is no set to compare encoders on.
3. `targets`: grades (`cls_knee_oa`, Kellgren-Lawrence 0 to 4), findings (`cls_fundus_dr_mx`,
   retinopathy and macular edema, column `dme`) and numbers (`seg_fetal_head_hc18`, the share of the
   image that the head covers), beside ridge on raw pixels: 60 episodes of 40 support images and 40
   others, drawn at random, patients apart where they are known. Prints the rows of the table in
   docs/results.md.
"""

import argparse
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import medshot
from encoded_sets import (
    MODALITIES,
    MODALITY,
    SHOTS,
    Encoded,
    encoded,
    episodes,
    probe,
    write_prior,
)
from medshot.core.atomic import write_text
from medshot.core.episode import Examples
from medshot.core.task import Task
from medshot.data.io.image import stored
from medshot.data.transforms import ImagePreprocessing, unit
from medshot.evaluation.episodes import EncodedEpisodes, encode
from medshot.evaluation.protocols import data_root
from medshot.evaluation.statistics import mean_interval, paired
from medshot.learners.closed_form.stacked_probe import PACKAGED, StackedProbe
from medshot.nn.encoders import mobilenet
from medshot.tasks import Classification, MultiLabel, Ordinal, Regression
from results import arguments, commit, hardware, markdown, percent

OPEN = (
    *("medical_mnist", "lung_histology", "pneumonia_mnist", "lung_ct_iqoth", "knee_oa"),
    *("malaria_cells", "cxr_tb_shenzhen", "oral_histology", "colon_histology", "gi_bleeding_wce"),
)
SUPPORT, QUERY, EPISODES = 40, 40, 60  # of `targets`
Target = Callable[[Path, dict[str, str]], float | list[float]]


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    if options.part == "targets":
        targets()
        return
    sets = {name: encoded(name, options.out) for name in MODALITY}
    if options.prior_only:
        write_prior(PACKAGED, list(OPEN), sets)
    elif options.marks:
        for name, found in sets.items():
            file = options.out / f"{name} marks.json"
            if not file.exists():
                write_text(file, json.dumps({"set": name, **marked(found)}) + "\n")
    else:
        evaluate(sets, options)


def evaluate(sets: dict[str, Encoded], options: argparse.Namespace) -> None:
    """Judge each set at each number of shots, with a prior that does not know it."""
    left = MODALITIES if options.leave == "modality" else {name: (name,) for name in MODALITY}
    for out, names in left.items():
        place = options.out / f"prior without {out}"
        if not (place / "prior.json").exists():
            write_prior(place, [name for name in MODALITY if name not in names], sets)
        for name in names:
            for shot in SHOTS:
                file = options.out / f"by {options.leave}" / f"{name} {shot}.json"
                if not file.exists():
                    row = judged(sets[name], place, shot, options.episodes)
                    write_text(file, json.dumps({"set": name, **row}) + "\n")
                    print(name, shot, row["difference"], row["ece"], flush=True)


def _options() -> argparse.Namespace:
    parser = arguments(__doc__, "classes", "targets")
    parser.add_argument("--out", type=Path, help="folder of features and results")
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--leave", choices=["modality", "set"], default="modality")
    parser.add_argument("--prior-only", action="store_true", help="write the package's prior")
    parser.add_argument("--marks", action="store_true", help="mean color and an untrained encoder")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.part == "classes" and not options.out:
        parser.error("--out is missing: the folder of features and results")
    return options


def judged(found: Encoded, prior: Path, shot: int, count: int) -> dict[str, Any]:
    """The head with `prior` and the bar on the same episodes: scores, difference, calibration."""
    head = probe(prior)
    bar = medshot.build("linear-probe", encoder=nn.Identity())
    sampler = episodes(found, shot)
    ours = EncodedEpisodes(sampler, found.plain, found.shown)
    theirs = EncodedEpisodes(sampler, found.bar)
    scores: dict[str, list[float]] = {"head": [], "bar": []}
    sure: dict[str, list[np.ndarray]] = {"head": [], "bar": []}
    metric = Classification.metrics["balanced accuracy"]
    for i in range(count):
        for name, learner, source in (("head", head, ours), ("bar", bar, theirs)):
            episode = source.episode(i)
            output = learner.learn(episode.support, episode.task)(episode.query.x)
            p, y = output.double().softmax(1).numpy(), episode.query.y.numpy()
            scores[name].append(metric(p, y))
            sure[name].append(np.stack([p.max(1), p.argmax(1) == y]))
    values = {name: np.array(v) for name, v in scores.items()}
    bins = {name: _bins(np.concatenate(v, 1)) for name, v in sure.items()}
    return {
        "shot": shot,
        "head": vars(mean_interval(values["head"])),
        "bar": vars(mean_interval(values["bar"])),
        "difference": vars(paired(values["head"], values["bar"])),
        "ece": {name: round(_ece(b), 4) for name, b in bins.items()},
        "bins": bins,
        "episodes_hash": sampler.fingerprint(count),
        "hardware": hardware(),
        "commit": commit(),
    }


def marked(found: Encoded) -> dict[str, float]:
    """Balanced accuracy, 5 images a class, of what asks for no features."""
    torch.manual_seed(0)
    untrained = medshot.encoder("conv4", size=64, width=32, halve="stride")
    color = found.plain[:, -mobilenet.N_STATISTICS :][:, :3]
    tables = {
        "mean color": (medshot.build("ridge", encoder=nn.Identity(), penalty=0.001), color),
        "untrained": (
            medshot.build("linear-probe", encoder=nn.Identity()),
            encode(untrained, found.dataset.at(3, 64)),
        ),
    }
    sampler, metric = episodes(found, 5), Classification.metrics["balanced accuracy"]
    scores: dict[str, list[float]] = {name: [] for name in tables}
    for i in range(50):
        for name, (learner, features) in tables.items():
            episode = EncodedEpisodes(sampler, features).episode(i)
            output = learner.learn(episode.support, episode.task)(episode.query.x)
            p = output.detach().double().softmax(1).numpy()
            scores[name].append(metric(p, episode.query.y.numpy()))
    return {name: float(np.mean(v)) for name, v in scores.items()}


def _bins(pairs: np.ndarray) -> list[list[float]]:
    """How many, mean confidence and share right, in 15 bins of confidence."""
    confidence, right = pairs
    which = np.minimum((confidence * 15).astype(int), 14)
    found = [(which == b) for b in range(15)]
    return [
        [int(w.sum()), *(float(v[w].mean()) if w.any() else 0.0 for v in (confidence, right))]
        for w in found
    ]


def _ece(bins: list[list[float]]) -> float:
    total = sum(b[0] for b in bins)
    return sum(n * abs(c - r) for n, c, r in bins) / total


def targets() -> None:
    """Print a row for each kind of target."""
    graded = lambda _, row: float(row["label"].removeprefix("kl"))  # noqa: E731
    covered = lambda folder, row: float((stored(folder / row["mask"]) > 0).mean())  # noqa: E731
    print("| targets | metric | ridge on raw pixels | stacked-probe | difference |")
    print("|---|---|---|---|---|")
    target_row("cls_knee_oa", graded, Ordinal(4), "grades")
    target_row("cls_fundus_dr_mx", _findings, MultiLabel(2), "findings")
    target_row("seg_fetal_head_hc18", covered, Regression(1), "a number")
    about = f"{EPISODES} episodes of {SUPPORT} and {QUERY} images; {hardware()}"
    print(f"\n{about}; commit `{commit()}`.")


def target_row(name: str, target: Target, task: Task, kind: str) -> None:
    """Both learners on the same episodes of one set."""
    folder = data_root() / name
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    y = torch.tensor([target(folder, r) for r in rows])
    y = y.long() if isinstance(task, Ordinal) else y if y.ndim == 2 else y[:, None]
    codes = {r.get("patient") or str(i) for i, r in enumerate(rows)}
    number = {code: i for i, code in enumerate(sorted(codes))}
    patients = np.array([number[r.get("patient") or str(i)] for i, r in enumerate(rows)])
    encoder, pixels = medshot.encoder("mobilenet"), medshot.encoder("pixels", size=64, reduce=2)
    head, baseline = StackedProbe(encoder), medshot.build("ridge", encoder=nn.Identity())
    plain, shown, raw = [], [], []
    with torch.no_grad():
        for r in rows:
            image = _image(folder / r["path"], 128)
            plain.append(encoder(image))
            shown.append(head.support_features(image))
            raw.append(pixels(_image(folder / r["path"], 64)))
    features = {"head": (torch.cat(shown), torch.cat(plain)), "pixels": (torch.cat(raw),) * 2}
    learners = {"head": probe(), "pixels": baseline}
    scores: dict[str, list[float]] = {each: [] for each in learners}
    for i in range(EPISODES):
        order = np.random.default_rng(i).permutation(len(rows))
        support = order[:SUPPORT]
        query = [j for j in order[SUPPORT:] if patients[j] not in patients[support]][:QUERY]
        fitted = task.fitted(y[support])
        for each, learner in learners.items():
            seen, asked = features[each]
            examples = Examples(seen[support], y[support], torch.from_numpy(patients[support]))
            output = learner.learn(examples, fitted)(asked[query]).detach().double()
            evidence = fitted.metric_inputs(fitted.decode(output).numpy(), y[query].numpy())
            scores[each].append(fitted.metrics[fitted.leading](*evidence))
    ours, theirs = (np.array(scores[each]) for each in ("head", "pixels"))
    said = [mean_interval(theirs), mean_interval(ours), paired(ours, theirs)]
    cells = " | ".join(f"{s.mean:.3f} [{s.low:.3f}, {s.high:.3f}]" for s in said)
    print(f"| {kind}: `{name}` | {task.leading} | {cells} |", flush=True)


def _findings(_: Path, row: dict[str, str]) -> list[float]:
    return [float(row["label"] != "no_dr"), float(row["dme"] not in ("", "0"))]


def _image(path: Path, size: int) -> Tensor:
    return unit(torch.from_numpy(ImagePreprocessing(size=size).pixels(path)))[None]


NEAR = 0.03  # of balanced accuracy: what asks for no features comes so near
T = 1.96


def gather(source: Path, kept: Path) -> None:
    """Keep all rows of a run, and what was measured without features, in one file."""
    found: dict[str, dict[str, Any]] = {"modality": {}, "set": {}}
    marks = {}
    for name in MODALITY:
        for left, rows in found.items():
            for shot in SHOTS:
                file = source / f"by {left}" / f"{name} {shot}.json"
                if file.exists():
                    rows.setdefault(name, {})[str(shot)] = json.loads(file.read_text())
        file = source / f"{name} marks.json"
        if file.exists():
            marks[name] = json.loads(file.read_text())
    write_text(
        kept,
        json.dumps({"rows": found["modality"], "by set": found["set"], "marks": marks}, indent=1)
        + "\n",
    )


def table(found: dict[str, Any]) -> str:
    """A set a row: difference to the bar at each shot; then the means over sets."""
    rows = found["rows"]
    easy = {name for name in rows if _easy(name, found)}
    lines = []
    for name, cells in rows.items():
        line = [f"{name} ({MODALITY[name]}){' *' if name in easy else ''}"]
        for shot in map(str, SHOTS):
            one = cells.get(shot)
            line += [f"{100 * one['bar']['mean']:.1f}"] if one else [""]
            line += [percent(one["difference"], "+")] if one else [""]
        lines.append(line)
    rest = [name for name in rows if name not in easy]
    lines.append([f"**mean of {len(rows)} sets**", *_means(list(rows.values()))])
    lines.append([f"**without those marked *** ({len(rest)})", *_means([rows[n] for n in rest])])
    if alone := list(found.get("by set", {}).values()):
        lines.append([f"**mean of {len(alone)} sets, each left out alone**", *_means(alone)])
    head = [part for s in SHOTS for part in (f"bar, {s}-shot", "minus bar")]
    errors = [[_mean_ece(rows, shot, method) for method in ("head", "bar")] for shot in SHOTS]
    ece = [f"{s}-shot {ours} (bar {bar})" for s, (ours, bar) in zip(SHOTS, errors, strict=True)]
    first = next(iter(next(iter(rows.values())).values()))
    about = (
        f"Balanced accuracy in percent, {first['difference']['n']} episodes a cell, intervals over "
        "episodes; of means over the sets. * mean color or an untrained encoder comes within 3 "
        "points of the better of the two at 5 shots. Expected calibration error, mean over sets: "
        f"{', '.join(ece)}. {first['hardware']}; commit `{first['commit']}`."
    )
    shown = markdown(["set left out with its modality", *head], lines)
    return f"{shown}\n{about}\n\n![reliability](results/stacked/reliability.png)\n"


def _means(rows: list[dict[str, Any]]) -> list[str]:
    """Of some sets at each shot: the bar, and the difference to it with its interval over sets."""
    cells = []
    for shot in map(str, SHOTS):
        some = [row[shot] for row in rows if shot in row]
        ahead = [one["difference"]["mean"] for one in some]
        mean, error = float(np.mean(ahead)), float(np.std(ahead, ddof=1) / len(ahead) ** 0.5)
        over = {"mean": mean, "low": mean - T * error, "high": mean + T * error}
        bar = np.mean([one["bar"]["mean"] for one in some])
        cells += [f"{100 * bar:.1f}", percent(over, "+")]
    return cells


def _mean_ece(rows: dict[str, Any], shot: int, method: str) -> str:
    return f"{np.mean([r[str(shot)]['ece'][method] for r in rows.values() if str(shot) in r]):.3f}"


def _easy(name: str, found: dict[str, Any]) -> bool:
    marks, cell = found["marks"].get(name), found["rows"][name].get("5")
    if not marks or not cell:
        return False
    best = max(cell["head"]["mean"], cell["bar"]["mean"])
    return max(marks["mean color"], marks["untrained"]) > best - NEAR


def draw(found: dict[str, Any], docs: Path) -> None:
    """Confidence against the share of right answers, all sets together, head and bar."""
    figure = Figure(figsize=(9, 3.2))
    for axis, shot in zip(figure.subplots(1, len(SHOTS), sharey=True), SHOTS, strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for method, color in (("bar", "tab:orange"), ("head", "tab:blue")):
            cells = [r[str(shot)] for r in found["rows"].values() if str(shot) in r]
            bins = np.sum([_sums(cell["bins"][method]) for cell in cells], 0)
            n, confidence, right = bins[bins[:, 0] > 0].T
            label = {"bar": "ImageNet linear probe", "head": "stacked probe"}[method]
            axis.plot(confidence / n, right / n, "o-", color=color, markersize=3, label=label)
        axis.set_title(f"{shot} image{'s' if shot > 1 else ''} a class", fontsize=9)
        axis.set_xlabel("confidence", fontsize=8)
        axis.tick_params(labelsize=7)
    figure.axes[0].set_ylabel("share right", fontsize=8)
    figure.axes[0].legend(fontsize=7)
    figure.savefig(docs / "results" / "stacked" / "reliability.png", dpi=130, bbox_inches="tight")


def _sums(bins: list[list[float]]) -> np.ndarray:
    return np.array([[n, n * confidence, n * right] for n, confidence, right in bins])


if __name__ == "__main__":
    main()
