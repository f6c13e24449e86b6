"""Adapting the encoder to the support (`--finetune auto`), in episodes of all `cls_*` sets.

    python experiments/adapters.py --out runs/adapters --learner linear-probe --episodes 4

Each episode asks about all classes of a set, at most 25 images a class, patients apart where they
are known. Five answers to the same images are compared, by balanced accuracy:

    bar      the packaged MobileNet at 224 pixels, mean over the last map, L2, logistic regression
             with C = 100
    frozen   the learner on the packaged MobileNet at 128 pixels
    moved    the same learner on the encoder that the support has moved
    both     the mean of the probabilities of the two
    auto     both where images left out of the support say that it helps, else frozen

Settings are those of `medshot.finetuning.pointwise`, the same on every set; how they were found is
in docs/stages/finetune.md. Intervals are over sets: the mean of a set's episodes counts as one.
Seconds are CPU seconds an episode on one thread. Resumes, and goes on to more `--episodes`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import medshot
from medshot.core.episode import Examples
from medshot.core.errors import DataError
from medshot.core.files import write_text
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.sample import EpisodeSampler
from medshot.evaluation.encoded import encode
from medshot.evaluation.protocol import data_root
from medshot.evaluation.statistics import Interval, mean_interval
from medshot.finetuning import AutoTuned
from medshot.nn.mixing import mixed
from record import commit, hardware

SHOTS = (5, 20)
QUERY, SEED, SIZE, BAR_SIZE = 25, 4321, 128, 224
ANSWERS = ("bar", "frozen", "moved", "both", "auto")
METRIC = "balanced accuracy"


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    learner = medshot.build(options.learner, encoder=medshot.encoder("mobilenet", size=SIZE))
    folders = sorted(f for f in data_root().iterdir() if f.name.startswith("cls_"))
    for count in range(1, options.episodes + 1):  # all sets first, so that a kill leaves a table
        for folder in folders:
            for shot in options.shots:
                _one_more(options.out, folder, shot, count, learner)
            _collect(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--learner", default="linear-probe")
    parser.add_argument("--episodes", type=int, default=4, help="of each set and number of shots")
    parser.add_argument("--shots", type=int, nargs="+", default=list(SHOTS))
    return parser.parse_args()


def _one_more(out: Path, folder: Path, shot: int, count: int, learner: Learner) -> None:
    """Episodes of a set up to number `count`, with what there is already."""
    file = out / f"{folder.name}_{shot}.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"episodes": []}
    if len(found["episodes"]) >= count or "left out" in found:
        return
    data = medshot.load(folder)
    asked = _query(data, shot)
    try:
        sampler = EpisodeSampler(data, way=len(data.labels), shot=shot, query=asked, seed=SEED)
        while len(found["episodes"]) < count:
            found["episodes"].append(_judged(learner, sampler, len(found["episodes"]), out))
    except DataError as error:
        found["left out"] = str(error)
    write_text(file, json.dumps(found, indent=1) + "\n")
    print(file.name, len(found["episodes"]), found.get("left out", ""), flush=True)


def _query(data: Dataset, shot: int) -> int:
    """How many images of the rarest class are left to ask about, half of its patients' at most."""
    rarest = int(torch.bincount(data.y).min())
    return max(1, min(QUERY, (rarest - shot) // 2))


@torch.no_grad()
def _judged(learner: Learner, sampler: EpisodeSampler, i: int, out: Path) -> dict[str, Any]:
    """All answers to episode `i`, the losses on images left out, and the seconds."""
    episode = sampler.at(3, SIZE).episode(i)
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
    answers["bar"] = _bar(sampler, i, out)
    spent = dict(zip(("frozen", "verdict", "both"), np.diff(clock).round(2).tolist(), strict=True))
    row = {"losses": [verdict.frozen, verdict.tuned], "kept": verdict.keeps, "seconds": spent}
    for name in ANSWERS:
        evidence = task.evidence(task.decode(answers[name].double()).numpy(), query.y.numpy())
        row[name] = round(float(task.metrics[METRIC](*evidence)), 5)
    return row


def _bar(sampler: EpisodeSampler, i: int, out: Path) -> torch.Tensor:
    """What the plain baseline says of episode `i`; features are kept in the folder."""
    kept = out / f"{sampler.dataset.name}_{BAR_SIZE}.npy"
    if not kept.exists():
        encoder = medshot.encoder("mobilenet", size=BAR_SIZE, depths=())
        np.save(kept, encode(encoder, sampler.dataset.at(3, BAR_SIZE)).numpy())
    z, drawn = torch.from_numpy(np.load(kept)), sampler.draw(i)
    nothing = torch.nn.Identity()
    nothing.n_features = z.shape[1]  # type: ignore[assignment]
    probe = medshot.build("linear-probe", encoder=nothing, c=100.0)
    shown = Examples(z[drawn.support], torch.from_numpy(drawn.support_y))
    return probe.adapt(shown, medshot.Classification(sampler.way))(z[drawn.query])


def _collect(options: argparse.Namespace) -> None:
    """One file of all that has been measured so far: by set, and the differences over sets."""
    sets: list[dict[str, Any]] = []
    for file in sorted(options.out.glob("cls_*.json")):
        found = json.loads(file.read_text())
        name, _, shot = file.stem.rpartition("_")
        sets.append({"set": name, "shot": int(shot), **found})
    about = {"hardware": hardware(), "commit": commit(), "learner": options.learner}
    over = {str(shot): _over_sets([s for s in sets if s["shot"] == shot]) for shot in SHOTS}
    write_text(
        options.out / "result.json", json.dumps({**about, "over sets": over, "sets": sets}) + "\n"
    )


def _over_sets(sets: list[dict[str, Any]]) -> dict[str, Any]:
    """The differences of all answers to the bar and to the frozen encoder, a set counting once."""
    done = [s["episodes"] for s in sets if s["episodes"]]
    if not done:
        return {}
    found: dict[str, Any] = {"sets": len(done), "episodes": sum(map(len, done))}
    for less in ("bar", "frozen"):
        for name in ANSWERS:
            each = [np.mean([row[name] - row[less] for row in rows]) for rows in done]
            found[f"{name} - {less}"] = _json(mean_interval(np.array(each)))
    rows = [row for episodes in done for row in episodes]
    found["kept"] = round(float(np.mean([row["kept"] for row in rows])), 3)
    found["bar"] = round(float(np.mean([np.mean([r["bar"] for r in s]) for s in done])), 4)
    for part in ("frozen", "verdict", "both"):
        found[f"seconds, {part}"] = round(float(np.mean([r["seconds"][part] for r in rows])), 2)
    return found


def _json(found: Interval) -> dict[str, float]:
    return {"mean": found.mean, "low": found.low, "high": found.high}


if __name__ == "__main__":
    main()
