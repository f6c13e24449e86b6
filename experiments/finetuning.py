"""Fine-tuning: its ways side by side, and adapting the packaged encoder (`--finetune auto`).

    python experiments/finetuning.py --out runs/finetuning
    python experiments/finetuning.py auto --out runs/adapters [--stacked runs/stacked]

Ways: accuracy, parameters, seconds, memory at 5 and 20 shots. A prototypical learner (4-layer
encoder of width 32, images of 32 pixels) is meta-trained on six `cls_*` sets and judged on three
others, in brain MR, chest X-ray and histology: all classes of the set, 20 query images a class,
split by patient where patients are known. Every way starts from the same predictor of the same
episode and may make 30 steps; how many, is judged on images of the support that are left out. Each
is paired with no fine-tuning. Intervals are over episodes. One seed. Seconds are CPU seconds an
episode, of choosing the steps and of making them, on one thread. Memory is how much higher the peak
resident set of a process is that fine-tunes once, for all steps, than that of one that adapts only,
to four classes; both have first moved a head by four images, for what that imports. It is read from
Linux' /proc, as `getrusage` may tell the parent's peak. Resumes: what is written is not done again.

`auto`, in episodes of the 2-D `cls_*` sets: the learner is `stacked-probe` (or `--learner`), with a
prior that knows no set of the modality: `--stacked` is the --out of experiments/stacked_probe.py,
which has the priors and the bar's features; what it lacks is made there. Each episode asks about up
to 7 classes of a set, at most 25 images a class, patients apart. Five answers to the same images
are compared, by balanced accuracy:

    bar      the packaged MobileNet at 224 pixels, mean over the last map, L2, logistic regression
             with C = 100
    frozen   the learner on the packaged MobileNet at 128 pixels
    moved    the same learner on the encoder that the support has moved
    both     the mean of the probabilities of the two
    auto     both where images left out of the support say that it helps, else frozen

Settings are those of `medshot.stages.finetune.pointwise`, the same on every set; how they were
found is in docs/stages/finetune.md. Intervals are over sets: the mean of a set's episodes counts as
one. Seconds are CPU seconds an episode on one thread. Resumes, and goes on to more `--episodes`.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

import medshot
from encoded_sets import MODALITY, Encoded, encoded, write_prior
from medshot.core.atomic import write_text
from medshot.core.episode import Examples
from medshot.core.errors import DataError
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.episodes import EncodedEpisodes, evaluate
from medshot.evaluation.protocols import MEDICAL, data_root
from medshot.evaluation.statistics import mean_interval, paired
from medshot.nn.ensemble import mixed
from medshot.stages.finetune import AutoTuned, FineTuned, get_method
from medshot.stages.finetune.methods import TrainableCopy
from results import arguments, commit, hardware, made_on, markdown, percent, plus_minus

JUDGED = ("brain_mri_tumor", "covid_cxr", "lung_histology")
WAYS = ("none", "head", "film", "bias", "lora", "adapter", "all")
SHOTS = (5, 20)
EPISODES, QUERY, SIZE, STEPS = 10, 20, 32, 30
METRIC = "balanced accuracy"
LEARNER, MOST_CLASSES = "stacked-probe", 7  # of `auto`
MOST_ASKED, LEAST_ASKED, SEED, INPUT = 25, 5, 77, 128  # images a class; pixels
ANSWERS = ("bar", "frozen", "moved", "both", "auto")


def main() -> None:
    if sys.argv[1:2] == ["--peak"]:
        print(_peak(sys.argv[2], int(sys.argv[3])))
        return
    parser = arguments(__doc__, "ways", "auto")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run and its result")
    parser.add_argument("--only", nargs="*", metavar="SET", help="only these sets")
    parser.add_argument("--steps", type=int, default=600, help="of meta-training, for the ways")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--learner", default=LEARNER, help="of `auto`")
    parser.add_argument("--stacked", type=Path, default=Path("runs/stacked"), help="of `auto`")
    parser.add_argument("--episodes", type=int, default=4, help="of `auto`, a set and shot")
    parser.add_argument("--shots", type=int, nargs="+", default=list(SHOTS), help="of `auto`")
    options = parser.parse_args()
    if options.part == "auto":
        torch.set_num_threads(1)
        adapted(options)
    else:
        torch.set_num_threads(options.threads)
        ways(options.only or JUDGED, options.out, options.steps)


def ways(names: Sequence[str], out: Path, steps: int) -> None:
    """Every way on the sets `names`."""
    learner = _meta_trained(out / "run", steps)
    _measure_peaks(out / "peaks.json")
    for name, shot in product(names, SHOTS):
        images = _images(name)
        sampler = EpisodeSampler(images, way=len(images.labels), shot=shot, query=QUERY, seed=1234)
        for what in WAYS:
            file = out / f"{name}_{shot}_{what}.json"
            if not file.exists():
                row = {"set": name, "shot": shot, "what": what}
                write_text(file, json.dumps(row | _judged(learner, what, sampler)) + "\n")
                print(file.name, round(time.process_time()), flush=True)
        _collect(out)


def _meta_trained(out: Path, steps: int) -> Learner:
    torch.manual_seed(0)
    encoder = medshot.encoder("conv4", size=SIZE, width=32, halve="stride")
    learner = medshot.build("prototypical", encoder=encoder)
    taught = [_images(name) for name in MEDICAL if name not in JUDGED]
    drawn: dict[str, Any] = {"way": 7, "shot": 5, "query": 5}
    run = medshot.train(
        learner, taught, out=out, steps=steps, val_every=steps // 3, val_episodes=40, **drawn
    )
    return run.learner


def _images(name: str) -> Dataset:
    return medshot.load(data_root() / f"cls_{name}").at(3, SIZE)


def _judged(learner: Learner, what: str, sampler: EpisodeSampler) -> dict[str, Any]:
    judged = learner if what == "none" else FineTuned(learner, what, steps=STEPS)
    started = time.process_time()
    found = evaluate(judged, sampler, episodes=EPISODES)
    seconds = (time.process_time() - started) / EPISODES
    support, task = sampler.episode(0).support, sampler.episode(0).task
    moving = 0
    if what != "none":
        moving = TrainableCopy(learner.adapt(support, task), get_method(what)).moving
    scores = found.scores[METRIC]
    return {
        "metrics": found.to_json()["metrics"],
        "scores": [round(float(score), 5) for score in scores],
        "parameters": moving,
        "seconds": seconds,
    }


def _measure_peaks(file: Path) -> None:
    """The peak of every way at each number of shots, in a process of its own."""
    if file.exists():
        return
    peaks: dict[str, dict[str, float]] = {}
    for shot in SHOTS:
        for what in WAYS:
            words = [sys.executable, __file__, "--peak", what, str(shot)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            peaks.setdefault(what, {})[str(shot)] = float(done.stdout)
    write_text(file, json.dumps(peaks) + "\n")


def _peak(what: str, shot: int) -> float:
    """Adapt, fine-tune for all steps, and give the peak of this process so far, in MB."""
    torch.set_num_threads(1)
    encoder = medshot.encoder("conv4", size=SIZE, width=32, halve="stride")
    x, y = torch.rand(4 * shot, 3, SIZE, SIZE), torch.arange(4).repeat(shot)
    support, task = Examples(x, y), medshot.Classification(4)
    with torch.no_grad():
        predictor = medshot.build("prototypical", encoder=encoder).adapt(support, task)
    medshot.finetune(predictor, support[:4], "head", task=task, steps=1)  # imports what all need
    if what != "none":
        medshot.finetune(predictor, support, what, task=task, steps=STEPS)
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _collect(out: Path) -> None:
    """One file of all that has been measured so far, each paired with no fine-tuning."""
    rows = [json.loads(f.read_text()) for f in sorted(out.glob("*_*_*.json"))]
    alone = {(r["set"], r["shot"]): r for r in rows if r["what"] == "none"}
    for row in rows:
        beside = alone[row["set"], row["shot"]]
        theirs, ours = (torch.tensor(r["scores"]).numpy() for r in (beside, row))
        row["minus none"] = vars(paired(ours, theirs))
    about = {"hardware": hardware(), "commit": commit(), "episodes": EPISODES, "steps": STEPS}
    about["peaks"] = json.loads((out / "peaks.json").read_text())
    write_text(out / "result.json", json.dumps({**about, "rows": rows}, indent=1) + "\n")


def adapted(options: argparse.Namespace) -> None:
    """Answers on the moved encoder, set by set."""
    encoder = medshot.encoder("mobilenet", size=INPUT)
    for count in range(1, options.episodes + 1):  # all sets first, so that a kill leaves a table
        for name in options.only or MODALITY:
            known = encoded(name, options.stacked)
            given = (
                {"prior": str(_prior(name, options.stacked))} if options.learner == LEARNER else {}
            )
            learner = medshot.build(options.learner, encoder=encoder, **given)
            for shot in options.shots:
                _one_more(options.out, known, name, shot, count, learner.eval())
            _collect_answers(options.out, options.learner)


def _prior(name: str, stacked: Path) -> Path:
    """The prior that knows no set of the modality of the set called `name`."""
    place = stacked / f"prior without {MODALITY[name]}"
    if not (place / "prior.json").exists():
        others = [other for other in MODALITY if MODALITY[other] != MODALITY[name]]
        write_prior(place, others, {other: encoded(other, stacked) for other in MODALITY})
    return place


def _one_more(
    out: Path, known: Encoded, name: str, shot: int, count: int, learner: Learner
) -> None:
    """Episodes of a set up to number `count`, with what there is already."""
    file, data = out / f"{name}_{shot}.json", known.dataset
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"episodes": []}
    if len(found["episodes"]) >= count or "left out" in found:
        return
    way, asked = min(MOST_CLASSES, len(data.labels)), _asked(data, shot)
    try:
        sampler = EpisodeSampler(data, way=way, shot=shot, query=asked, seed=SEED)
        while len(found["episodes"]) < count:
            i = len(found["episodes"])
            found["episodes"].append(_answered(learner, sampler, i, known))
    except DataError as error:
        found["left out"] = str(error)
    write_text(file, json.dumps(found, indent=1) + "\n")
    print(file.name, len(found["episodes"]), found.get("left out", ""), flush=True)


def _asked(data: Dataset, shot: int) -> int:
    """How many images of each class are asked about: half of the rarest class's others at most."""
    rarest = int(torch.bincount(data.y).min())
    return max(LEAST_ASKED, min(MOST_ASKED, (rarest - shot) // 2))


@torch.no_grad()
def _answered(learner: Learner, sampler: EpisodeSampler, i: int, known: Encoded) -> dict[str, Any]:
    """All answers to episode `i`, the losses on images left out, and the seconds."""
    episode = sampler.at(3, INPUT).episode(i)
    support, query, task = episode.support, episode.query, episode.task
    tuned = AutoTuned(learner)
    clock = [time.process_time()]
    frozen = learner.adapt(support, task)
    clock.append(time.process_time())
    verdict = tuned.verdict(support, task)
    clock.append(time.process_time())
    both = tuned.both(frozen, support, task)
    clock.append(time.process_time())
    said = torch.cat([both.said(part) for part in query.x.split(16)], 1)
    answers = {"frozen": said[0], "moved": said[1], "both": mixed(said, both.scores, both.link)}
    answers["auto"] = answers["both" if verdict.keeps else "frozen"]
    answers["bar"] = _bar(EncodedEpisodes(sampler, known.bar), i)
    spent = dict(zip(("frozen", "verdict", "both"), np.diff(clock).round(2).tolist(), strict=True))
    row = {"losses": [verdict.frozen, verdict.tuned], "kept": verdict.keeps, "seconds": spent}
    for name in ANSWERS:
        evidence = task.metric_inputs(task.decode(answers[name].double()).numpy(), query.y.numpy())
        row[name] = round(float(task.metrics[METRIC](*evidence)), 5)
    return row


def _bar(source: EncodedEpisodes, i: int) -> torch.Tensor:
    """What the plain baseline says of episode `i`."""
    episode = source.episode(i)
    probe = medshot.build("linear-probe", encoder=torch.nn.Identity())
    return probe.adapt(episode.support, episode.task)(episode.query.x)


def _collect_answers(out: Path, learner: str) -> None:
    """One file of all that has been measured so far: by set, and the differences over sets."""
    sets: list[dict[str, Any]] = []
    for file in sorted(out.glob("*_*.json")):
        found = json.loads(file.read_text())
        name, _, shot = file.stem.rpartition("_")
        sets.append({"set": name, "shot": int(shot), **found})
    about = {"hardware": hardware(), "commit": commit(), "learner": learner}
    over = {str(shot): _over_sets([s for s in sets if s["shot"] == shot]) for shot in SHOTS}
    write_text(out / "result.json", json.dumps({**about, "over sets": over, "sets": sets}) + "\n")


def _over_sets(sets: list[dict[str, Any]]) -> dict[str, Any]:
    """The differences of all answers to the bar and to the frozen encoder, a set counting once."""
    done = [s["episodes"] for s in sets if s["episodes"]]
    if not done:
        return {}
    found: dict[str, Any] = {"sets": len(done), "episodes": sum(map(len, done))}
    for less in ("bar", "frozen"):
        for name in ANSWERS:
            each = [np.mean([row[name] - row[less] for row in rows]) for rows in done]
            found[f"{name} - {less}"] = vars(mean_interval(np.array(each)))
    rows = [row for episodes in done for row in episodes]
    found["kept"] = round(float(np.mean([row["kept"] for row in rows])), 3)
    found["bar"] = round(float(np.mean([float(np.mean([r["bar"] for r in s])) for s in done])), 4)
    for part in ("frozen", "verdict", "both"):
        found[f"seconds, {part}"] = round(float(np.mean([r["seconds"][part] for r in rows])), 2)
    return found


def table(found: dict[str, Any]) -> str:
    """What each way brings, and what it costs."""
    about = f"{found['episodes']} episodes a cell, at most {found['steps']} steps. {made_on(found)}"
    rows = sorted(found["rows"], key=lambda row: row["parameters"])  # what moves least first
    return f"{_accuracies(rows)}\n{_costs(rows, found['peaks'])}\n{about}\n"


def _accuracies(found: list[dict[str, Any]]) -> str:
    """Balanced accuracy of no fine-tuning, and what each way adds to it."""
    ways = list(dict.fromkeys(row["what"] for row in found))
    rows = []
    for name, shot in sorted({(row["set"], row["shot"]) for row in found}):
        cells = {r["what"]: _cell(r) for r in found if (r["set"], r["shot"]) == (name, shot)}
        rows.append([f"`{name}`", shot, *(cells.get(way, "") for way in ways)])
    return markdown(["set", "shots", *ways], rows)


def _costs(found: list[dict[str, Any]], peaks: dict[str, dict[str, float]]) -> str:
    """Parameters, seconds (means over sets) and memory of each way, at each number of shots."""
    shots = sorted({row["shot"] for row in found})
    rows = []
    for way in dict.fromkeys(row["what"] for row in found):
        mine = [row for row in found if row["what"] == way]
        moving = sorted({row["parameters"] for row in mine})
        counts = " to ".join(str(n) for n in dict.fromkeys((moving[0], moving[-1])))
        spent = [[row["seconds"] for row in mine if row["shot"] == shot] for shot in shots]
        cells = [f"{sum(each) / len(each):.1f}" for each in spent]
        cells += [f"{peaks[way][str(s)] - peaks['none'][str(s)]:.0f}" for s in shots]
        rows.append([way, counts, *cells])
    head = [f"{what}, {shot} shots" for what in ("CPU seconds", "MB more") for shot in shots]
    return markdown(["way", "numbers that move", *head], rows)


def _cell(row: dict[str, Any]) -> str:
    alone = row["what"] == "none"
    return plus_minus(row["metrics"][METRIC]) if alone else plus_minus(row["minus none"], "+")


ROWS = {
    "frozen": "the learner, encoder as it is",
    "moved": "the learner on the moved encoder",
    "both": "the mean of both",
    "auto": "**`auto`**: both where images left out say so",
}


def table_of_auto(found: dict[str, Any]) -> str:
    """The differences over sets, and each set."""
    over = {shot: one for shot, one in found["over sets"].items() if one}
    return f"{_differences(over)}\n{_answers_by_set(found['sets'])}\n{_about_auto(found, over)}\n"


def _differences(over: dict[str, Any]) -> str:
    """What each answer adds to the bar and to the frozen encoder, over all sets."""
    against = [(shot, less) for shot in over for less in ("bar", "frozen")]
    head = ["answer", *(f"{shot} shots, less the {less}" for shot, less in against)]
    rows = [
        [words, *(percent(over[shot][f"{name} - {less}"], "+") for shot, less in against)]
        for name, words in ROWS.items()
    ]
    return markdown(head, rows)


def _answers_by_set(sets: list[dict[str, Any]]) -> str:
    """Each set: the bar, what the others add to it, and how often `auto` kept what had moved."""
    rows = []
    for one in sorted((s for s in sets if s["episodes"]), key=lambda s: (s["set"], s["shot"])):
        episodes = one["episodes"]
        bar, *others = (
            100 * np.mean([r[n] for r in episodes]) for n in ("bar", "frozen", "both", "auto")
        )
        kept = f"{sum(r['kept'] for r in episodes)} of {len(episodes)}"
        more = [f"{value - bar:+.1f}" for value in others]
        name = one["set"].removeprefix("cls_")
        rows.append([f"`{name}`", one["shot"], f"{bar:.1f}", *more, kept])
    return markdown(["set", "shots", "bar", "frozen", "both", "`auto`", "kept"], rows)


def _about_auto(found: dict[str, Any], over: dict[str, Any]) -> str:
    parts = [
        f"{shot} shots: {one['sets']} sets, {one['episodes']} episodes, the bar at "
        f"{100 * one['bar']:.1f}, kept in {100 * one['kept']:.0f} %, CPU seconds "
        f"{one['seconds, frozen']:.1f} for the learner, {one['seconds, verdict']:.1f} to judge and "
        f"{one['seconds, both']:.1f} to move."
        for shot, one in over.items()
    ]
    return f"{' '.join(parts)} Learner `{found['learner']}`. {made_on(found)}"


if __name__ == "__main__":
    main()
