"""Ways to fine-tune side by side: accuracy, parameters, seconds, memory at 5 and 20 shots.

    python experiments/finetuning.py --out runs/finetuning

A prototypical learner (4-layer encoder of width 32, images of 32 pixels) is meta-trained on six
`cls_*` sets and judged on three others, in brain MR, chest X-ray and histology: all classes of the
set, 20 query images a class, split by patient where patients are known. Every way starts from the
same predictor of the same episode and may make 30 steps; how many, is judged on images of the
support that are left out. Each is paired with no fine-tuning. Intervals are over episodes. One
seed. Seconds are CPU seconds an episode, of choosing the steps and of making them, on one thread.
Memory is how much higher the peak resident set of a process is that fine-tunes once, for all steps,
than that of one that adapts only, to four classes; both have first moved a head by four images, for
what that imports. It is read from Linux' /proc, as `getrusage` may tell the parent's peak.
Resumes: what is written is not done again.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

import medshot
from medshot.core.atomic import write_text
from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.episodes import evaluate
from medshot.evaluation.protocols import MEDICAL, data_root
from medshot.evaluation.statistics import paired
from medshot.stages.finetune import FineTuned, get_method
from medshot.stages.finetune.trainable import TrainableCopy
from results import commit, hardware, made_on, markdown, parse, plus_minus

JUDGED = ("brain_mri_tumor", "covid_cxr", "lung_histology")
WAYS = ("none", "head", "film", "bias", "lora", "adapter", "all")
SHOTS = (5, 20)
EPISODES, QUERY, SIZE, STEPS = 10, 20, 32, 30
METRIC = "balanced accuracy"


def main() -> None:
    if sys.argv[1:2] == ["--peak"]:
        print(_peak(sys.argv[2], int(sys.argv[3])))
        return
    options = parse(__doc__, steps=600)
    learner = _meta_trained(options.out / "run", options.steps)
    _measure_peaks(options.out / "peaks.json")
    for name in options.only or JUDGED:
        images = _images(name)
        for shot in SHOTS:
            sampler = EpisodeSampler(
                images, way=len(images.labels), shot=shot, query=QUERY, seed=1234
            )
            for what in WAYS:
                file = options.out / f"{name}_{shot}_{what}.json"
                if not file.exists():
                    row = {"set": name, "shot": shot, "what": what}
                    write_text(file, json.dumps(row | _judged(learner, what, sampler)) + "\n")
                    print(file.name, round(time.process_time()), flush=True)
            _collect(options.out)


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


if __name__ == "__main__":
    main()
