"""Adapting the encoder to the support (`--finetune auto`), in episodes of the 2-D `cls_*` sets.

    python experiments/adapters.py --out runs/adapters [--stacked runs/stacked] [--episodes 4]

The learner is `stacked-probe` (or `--learner`), with a prior that knows no set of the modality:
`--stacked` is the --out of experiments/stacked_probe.py, which has the priors and the bar's
features; what it lacks is made there. Each episode asks about up to 7 classes of a set, at most 25
images a class, patients apart. Five answers to the same images are compared, by balanced accuracy:

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
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import medshot
from encoded_sets import MODALITY, Encoded, encoded, write_prior
from medshot.core.atomic import write_text
from medshot.core.errors import DataError
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.episodes import EncodedEpisodes
from medshot.evaluation.statistics import Interval, mean_interval
from medshot.nn.ensemble import mixed
from medshot.stages.finetune import AutoTuned
from results import arguments, commit, hardware, made_on, markdown, percent

LEARNER = "stacked-probe"
SHOTS = (5, 20)
QUERY, LEAST, SEED, SIZE = 25, 5, 77, 128  # LEAST images a class are asked about
MOST_CLASSES = 7
ANSWERS = ("bar", "frozen", "moved", "both", "auto")
METRIC = "balanced accuracy"


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    encoder = medshot.encoder("mobilenet", size=SIZE)
    for count in range(1, options.episodes + 1):  # all sets first, so that a kill leaves a table
        for name in options.only or MODALITY:
            known = encoded(name, options.stacked)
            given = (
                {"prior": str(_prior(name, options.stacked))} if options.learner == LEARNER else {}
            )
            learner = medshot.build(options.learner, encoder=encoder, **given)
            for shot in options.shots:
                _one_more(options.out, known, name, shot, count, learner.eval())
            _collect(options)


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--learner", default=LEARNER)
    parser.add_argument("--stacked", type=Path, default=Path("runs/stacked"))
    parser.add_argument("--episodes", type=int, default=4, help="of each set and number of shots")
    parser.add_argument("--shots", type=int, nargs="+", default=list(SHOTS))
    parser.add_argument("--only", nargs="*", help="only these sets")
    return parser.parse_args()


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
    way, asked = min(MOST_CLASSES, len(data.labels)), _query(data, shot)
    try:
        sampler = EpisodeSampler(data, way=way, shot=shot, query=asked, seed=SEED)
        while len(found["episodes"]) < count:
            i = len(found["episodes"])
            found["episodes"].append(_judged(learner, sampler, i, known))
    except DataError as error:
        found["left out"] = str(error)
    write_text(file, json.dumps(found, indent=1) + "\n")
    print(file.name, len(found["episodes"]), found.get("left out", ""), flush=True)


def _query(data: Dataset, shot: int) -> int:
    """How many images of each class are asked about: half of the rarest class's others at most."""
    rarest = int(torch.bincount(data.y).min())
    return max(LEAST, min(QUERY, (rarest - shot) // 2))


@torch.no_grad()
def _judged(learner: Learner, sampler: EpisodeSampler, i: int, known: Encoded) -> dict[str, Any]:
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
    answers["bar"] = _bar(EncodedEpisodes(sampler, known.bar), i)
    spent = dict(zip(("frozen", "verdict", "both"), np.diff(clock).round(2).tolist(), strict=True))
    row = {"losses": [verdict.frozen, verdict.tuned], "kept": verdict.keeps, "seconds": spent}
    for name in ANSWERS:
        evidence = task.evidence(task.decode(answers[name].double()).numpy(), query.y.numpy())
        row[name] = round(float(task.metrics[METRIC](*evidence)), 5)
    return row


def _bar(source: EncodedEpisodes, i: int) -> torch.Tensor:
    """What the plain baseline says of episode `i`."""
    episode = source.episode(i)
    probe = medshot.build("linear-probe", encoder=torch.nn.Identity())
    return probe.adapt(episode.support, episode.task)(episode.query.x)


def _collect(options: argparse.Namespace) -> None:
    """One file of all that has been measured so far: by set, and the differences over sets."""
    sets: list[dict[str, Any]] = []
    for file in sorted(options.out.glob("*_*.json")):
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


ROWS = {
    "frozen": "the learner, encoder as it is",
    "moved": "the learner on the moved encoder",
    "both": "the mean of both",
    "auto": "**`auto`**: both where images left out say so",
}


def table(found: dict[str, Any]) -> str:
    """The differences over sets, and each set."""
    over = {shot: one for shot, one in found["over sets"].items() if one}
    return f"{_differences(over)}\n{_by_set(found['sets'])}\n{_about(found, over)}\n"


def _differences(over: dict[str, Any]) -> str:
    """What each answer adds to the bar and to the frozen encoder, over all sets."""
    against = [(shot, less) for shot in over for less in ("bar", "frozen")]
    head = ["answer", *(f"{shot} shots, less the {less}" for shot, less in against)]
    rows = [
        [words, *(percent(over[shot][f"{name} - {less}"], "+") for shot, less in against)]
        for name, words in ROWS.items()
    ]
    return markdown(head, rows)


def _by_set(sets: list[dict[str, Any]]) -> str:
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


def _about(found: dict[str, Any], over: dict[str, Any]) -> str:
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
