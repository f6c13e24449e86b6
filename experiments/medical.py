"""Leave one data set out: each learner meta-trained on eight `cls_*` sets, judged on the ninth.

    python experiments/medical.py --out runs/medical [--only skin_ham10000 ...] [--learners maml]

Protocols `medshot26/<set>/{1,5,10}s`, of each the first 200 episodes: all classes of the set, 10
query images a class, split by patient where patients are known. Every learner sees the same 600
episodes of up to 7 classes, 5 support and 5 query images a class, one a step, with a 4-layer
encoder of width 32 on images of 32 pixels; the weights are the best of three meta-validations.
Baselines on the same encoder untrained, and on raw pixels of the same size. On the same episodes,
each is paired with the linear probe on raw pixels, and with the linear probe on its own encoder.
Resumes: what is written is skipped, a run that was cut goes on.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import medshot
from medshot.core.errors import MedshotError
from medshot.core.files import write_text
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.sample import EpisodeSampler
from medshot.evaluation.encoded import EncodedEpisodes, can_be_encoded, encode, without_encoder
from medshot.evaluation.protocol import MEDICAL, data_root, protocol
from medshot.evaluation.run import evaluate
from medshot.evaluation.statistics import paired
from medshot.learners import learners
from medshot.training.progress import bar
from record import commit, hardware

SHOTS = (1, 5, 10)
SIZE = 32
EPISODES, STEPS = 200, 600
METRIC = "balanced accuracy"
PROBE = "linear-probe/pixels"
DESCENT = {"steps": 3, "lr": 0.1}
# What differs from a learner's defaults: few and short steps.
# The inner rate is the best of four (0.01 to 0.5) for maml and anil on covid_cxr, 150 steps.
OPTIONS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("anil", "imaml", "reptile", "prox"), DESCENT | {"steps": 5}),
    "relation": {"width": 32},
    **dict.fromkeys(("maml", "fomaml", "meta-sgd", "maml++", "meta-gradient"), DESCENT),
    **dict.fromkeys(("lstm-optimizer", "mlp-optimizer", "meta-lstm"), DESCENT),
}
ENCODER: dict[str, dict[str, Any]] = {"relation": {"halvings": 2}}


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    sets = {name: medshot.load(data_root() / f"cls_{name}").at(3, SIZE) for name in MEDICAL}
    for name in options.only or MEDICAL:
        others = [dataset for other, dataset in sets.items() if other != name]
        for key, learner in _learners(name, others, options.out, options.learners):
            file = options.out / name / f"{key.replace('/', '@')}.json"
            row = _judged(key, learner, sets[name], options.out / name)
            write_text(file, json.dumps(row) + "\n")
            print(f"{file} {time.process_time():.0f} s", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of runs and results")
    parser.add_argument("--only", nargs="*", help="only these sets are left out")
    parser.add_argument("--learners", nargs="*", help="only these (the linear probe always)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def _learners(
    name: str, others: list[Dataset], out: Path, only: list[str] | None
) -> Iterator[tuple[str, Learner]]:
    """Learner/encoder, ready to be judged on the set `name`; those that are done are left out."""
    pixels, untrained = medshot.encoder("pixels", size=SIZE), _encoder()
    wanted = [(n, k) for n, k in learners().items() if not only or n in only]
    baselines = [n for n, kind in wanted if not kind.trainable]
    bases = [(b, "pixels", pixels) for b in ["linear-probe", *baselines]]
    for base, kind, encoder in bases + [(b, "untrained", untrained) for b in baselines]:
        key = f"{base}/{kind}"
        adapts = learners()[base].adapts_encoder
        if not (adapts and kind == "pixels") and not (out / name / f"{base}@{kind}.json").exists():
            yield key, medshot.build(base, encoder=encoder)
    for method in [n for n, kind in wanted if kind.trainable]:
        if not (out / name / f"{method}@own.json").exists():
            yield f"{method}/own", _trained(method, name, others, out)


def _trained(method: str, name: str, others: list[Dataset], out: Path) -> Learner:
    torch.manual_seed(0)
    encoder = _encoder(**ENCODER.get(method, {}))
    run = medshot.train(
        medshot.build(method, encoder=encoder, **OPTIONS.get(method, {})),
        others,
        out=out / "runs" / f"{name}-{method}",
        way=7,
        shot=5,
        query=5,
        steps=STEPS,
        val_every=STEPS // 3,
        val_episodes=40,
        watch=bar,
    )
    return run.learner


def _encoder(**options: Any) -> medshot.Encoder:
    torch.manual_seed(0)
    return medshot.encoder("conv4", size=SIZE, width=32, halve="stride", **options)


def _judged(key: str, learner: Learner, images: Dataset, out: Path) -> dict[str, Any]:
    """All shots: means with intervals, the paired differences, and each episode's score."""
    probes = None
    if key.endswith("/own"):
        probes = medshot.build("linear-probe", encoder=learner.encoder)
    shots = {}
    for shot in SHOTS:
        rules = protocol(f"medshot26/{out.name}/{shot}s")
        sampler = rules.sampler(images)
        try:
            found = evaluate(*_ready(learner, sampler), episodes=EPISODES)
        except MedshotError as error:
            if key == PROBE:
                raise
            shots[rules.name] = {"not done": str(error)}
            continue
        scores = found.scores[METRIC]
        cell: dict[str, Any] = {"metrics": found.to_json()["metrics"]}
        cell["fingerprint"] = found.episodes["fingerprint"]
        cell["scores"] = [round(float(s), 5) for s in scores]
        if key != PROBE:
            file = out / f"{PROBE.replace('/', '@')}.json"
            theirs = json.loads(file.read_text())["shots"][rules.name]["scores"]
            cell["minus_pixels"] = vars(paired(scores, torch.tensor(theirs).numpy()))
        if probes is not None and not getattr(learner.encoder, "transductive", False):
            theirs = evaluate(*_ready(probes, sampler), episodes=EPISODES).scores[METRIC]
            cell["minus_own_probe"] = vars(paired(scores, theirs))
        shots[rules.name] = cell
    about = {"set": out.name, "learner": key, "transductive": learner.transductive}
    return about | {"hardware": hardware(), "commit": commit(), "shots": shots}


def _ready(
    learner: Learner, sampler: EpisodeSampler
) -> tuple[Learner, EpisodeSampler | EncodedEpisodes]:
    """Learner and episodes; where features do not change, each image is encoded once."""
    if not can_be_encoded(learner, sampler):
        return learner, sampler
    encoder: Any = learner.encoder
    features = encode(encoder, sampler.dataset.at(encoder.channels, encoder.size))
    return without_encoder(learner), EncodedEpisodes(sampler, features)


if __name__ == "__main__":
    main()
