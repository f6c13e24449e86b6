"""The head in the box: its prior made, and judged on sets and modalities that it has not seen.

    python experiments/stacked_probe.py --out runs/stacked [--episodes 400] [--prior-only]

Encodes the 2-D `cls_*` sets of $MEDSHOT_DATA once (encoded_sets.py), and writes to --out what it
has, so that a run that was cut goes on.

1. Prior (`medshot.learners.closed_form.stacked_probe`): the covariance within classes, a mean over
sets of each
   block's, its 64 largest directions; what images of one class differ by; and the blend's numbers,
   fitted to the queries of `RECORDS` episodes a set (their likelihood, and in each set the square
   of confidence less accuracy), each with factors that know neither its modality nor that of the
   set to be judged. `--prior-only` makes the one of the package, from the sets whose license is
   open (`OPEN`), and stops.
2. Evaluation: 400 episodes a set at 1, 5 and 20 images a class, 10 queries a class, patients apart
   (also where patients are only guessed), with the prior that knows no set of the modality, or
   with `--leave set` not the set itself; on the
   same episodes the bar: the same frozen network at 224 pixels, the mean of its last map, L2,
   logistic regression with C = 100.
3. What asks for no features (`--marks`): mean color (ridge regression on three numbers) and an
   untrained conv4 (linear probe), 5 images a class, 50 episodes. A set on which one of them comes
   within 3 points of the best is no set to compare encoders on.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from safetensors.torch import save_file
from torch import Tensor, nn

import medshot
from encoded_sets import (
    MODALITIES,
    MODALITY,
    SHOTS,
    Encoded,
    encoded,
    episodes,
    factors_of,
    sizes,
    spread_within,
)
from medshot.core.atomic import write_text
from medshot.evaluation.episodes import EncodedEpisodes, encode
from medshot.evaluation.statistics import mean_interval, paired
from medshot.learners.closed_form import stacked_probe
from medshot.learners.closed_form.stacked_probe import MEMBERS, PACKAGED, StackedProbe, weighted
from medshot.nn.encoders import mobilenet
from medshot.nn.encoders.adapters import directions, shortened
from medshot.tasks import Classification, one_hot
from results import arguments, commit, hardware, markdown, percent

OPEN = (
    *("medical_mnist", "lung_histology", "pneumonia_mnist", "lung_ct_iqoth", "knee_oa"),
    *("malaria_cells", "cxr_tb_shenzhen", "oral_histology", "colon_histology", "gi_bleeding_wce"),
)
RECORDS = {1: 30, 5: 30, 20: 15}  # episodes a set that the numbers of the prior are fitted to
PULL = 3e-3  # towards where the numbers start: mostly ridge regression
GAP = 10.0  # what a set's confidence less its accuracy, squared, counts beside the likelihood


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    sets = {name: encoded(name, options.out) for name in MODALITY}
    if options.prior_only:
        write_prior(PACKAGED, list(OPEN), sets)
        return
    if options.marks:
        for name, found in sets.items():
            file = options.out / f"{name} marks.json"
            if not file.exists():
                write_text(file, json.dumps({"set": name, **marked(found)}) + "\n")
        return
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
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of features and results")
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--leave", choices=["modality", "set"], default="modality")
    parser.add_argument("--prior-only", action="store_true", help="write the package's prior")
    parser.add_argument("--marks", action="store_true", help="mean color and an untrained encoder")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def write_prior(place: Path, names: Sequence[str], sets: dict[str, Encoded]) -> None:
    """The prior learned from the sets `names`: two files in `place`."""
    place.mkdir(parents=True, exist_ok=True)
    factors = factors_of(names, sets)
    save_file({"factors": factors.half().contiguous()}, place / "factors.safetensors")
    knots = []
    for shot in SHOTS:
        knots.append(fitted([records(name, names, sets, shot) for name in names]))
    table: dict[str, Any] = {
        "made by": "python experiments/stacked_probe.py",
        "sets": sorted(names),
        "members": [member.name for member in MEMBERS],
        "within": [float(f"{w:.4g}") for w in spread_within(names, sets, factors)],
        "shots": SHOTS,
        **{key: [knot[key] for knot in knots] for key in knots[0]},
    }
    write_text(place / "prior.json", json.dumps(table, indent=1) + "\n")
    stacked_probe._tables.cache_clear()
    print(place, {key: np.round(table[key], 2).tolist() for key in knots[0]}, flush=True)


class Record(NamedTuple):
    """What the members said in episodes of one shape, of the support left out and of queries."""

    left_out: Tensor  # m e n k
    asked: Tensor  # m e q k
    labels: Tensor  # e n k
    apart: Tensor  # e
    evident: Tensor  # e
    target: Tensor  # e q


def records(name: str, names: Sequence[str], sets: dict[str, Encoded], shot: int) -> list[Record]:
    """Records of a set, with factors that know no set of its modality."""
    found, others = sets[name], [n for n in names if MODALITY[n] != MODALITY[name]]
    factors = factors_of(others, sets)
    within = spread_within(others, sets, factors)
    learner = StackedProbe(_Features())
    learner.sizes, learner.known = sizes(), True
    shown, plain = (shortened(z, factors, sizes()) for z in (found.shown, found.plain))
    drawn = EncodedEpisodes(episodes(found, shot, seed=1), plain, shown)
    made: dict[Any, list[Record]] = {}
    for i in range(RECORDS[shot]):
        episode = drawn.episode(i)
        support, query, task = episode.support, episode.query, episode.task
        labels = one_hot(support.y, task.n_outputs, like=support.x).double()
        center = stacked_probe._center(support.x, support.y, task)
        rows = [b.double() for b in directions(support.x, center, sizes())]
        asked = [b.double() for b in directions(query.x, center, sizes())]
        together, evident = stacked_probe.left_out_together(support, task)
        blend = learner.blend([b @ b.T for b in rows], labels, together)
        crosses = torch.stack([q @ b.T for q, b in zip(asked, rows, strict=True)])
        counts = torch.tensor(learner.block_weights(len(rows))).double()
        one = Record(
            blend.left_out,
            torch.einsum("mb,bqn->mqn", counts, crosses) @ blend.coefficients,
            labels,
            stacked_probe.apart(support.x, labels, sizes(), within),
            torch.tensor(evident),
            query.y,
        )
        made.setdefault((one.left_out.shape, one.asked.shape), []).append(one)
    return [_stacked(some) for some in made.values()]


def _stacked(some: list[Record]) -> Record:
    left_out, asked, *rest = zip(*some, strict=True)
    joined = torch.stack(left_out, 1), torch.stack(asked, 1), *map(torch.stack, rest)
    return Record(*(t.float() if t.is_floating_point() else t for t in joined))


class _Features(nn.Module):
    """In the place of an encoder whose features are there already."""

    def forward(self, x: Tensor) -> Tensor:
        """As they are."""
        return x


def fitted(sets: list[list[Record]]) -> dict[str, Any]:
    """The numbers of the prior that serve the queries best, by L-BFGS; sets count alike."""
    start = {
        "log_temperature": torch.full((len(MEMBERS),), 1.5),
        "log_weight": torch.tensor([4.0 * (member.name == "ridge") for member in MEMBERS]),
        "way": torch.tensor(0.3),
        "apart": torch.tensor(0.6),
        "log_evidence": torch.tensor(-3.0),
        "scale_spread": torch.tensor(-0.7),  # its logarithm
    }
    raw = {name: value.clone().requires_grad_() for name, value in start.items()}
    optimizer = torch.optim.LBFGS(list(raw.values()), max_iter=60, line_search_fn="strong_wolfe")

    def numbers() -> dict[str, Tensor]:
        return raw | {"scale_spread": raw["scale_spread"].exp()}

    def cost() -> Tensor:
        optimizer.zero_grad()
        total = sum((_cost(numbers(), found) for found in sets), torch.zeros(())) / len(sets)
        far = sum((raw[name] - value).square().sum() for name, value in start.items())
        total = total + PULL * far
        total.backward()
        return total

    optimizer.step(cost)
    return {n: v.detach().double().numpy().round(4).tolist() for n, v in numbers().items()}


def _cost(numbers: dict[str, Tensor], found: list[Record]) -> Tensor:
    """Minus the mean log likelihood of a set's queries, and how far it is from calibrated."""
    likely, sure, right = [], [], []
    for r in found:
        weights, log_scale = weighted(numbers, r.left_out, r.labels, r.apart, r.evident)
        blended = (weights[..., None, None] * r.asked).sum(0)
        scores = (log_scale.exp()[:, None, None] * blended).log_softmax(-1)
        likely.append(scores.gather(-1, r.target[..., None]).flatten())
        best = scores.max(-1)
        sure.append(best.values.exp().flatten())
        right.append((best.indices == r.target).float().flatten())
    gap = torch.cat(sure).mean() - torch.cat(right).mean()
    return GAP * gap.square() - torch.cat(likely).mean()


def judged(found: Encoded, prior: Path, shot: int, count: int) -> dict[str, Any]:
    """The head with `prior` and the bar on the same episodes: scores, difference, calibration."""
    head = StackedProbe(_Features(), prior=str(prior))
    head.sizes, head.known = sizes(), True
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
