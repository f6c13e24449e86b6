"""Leave one data set out: meta-train on eight `cls_*` sets, be judged on the ninth, for each.

    python experiments/medical_lodo.py --out runs/medical_lodo [--only skin_ham10000 ...]

Protocols `medshot26/<set>/{1,5,10}s`: all classes of the set, 10 query images a class, 600
episodes, 64 pixels, split by patient where patients are known. Prototypical network and MAML,
each meta-trained, beside linear probe, LDA and nearest centroid on each one's encoder, on the
same encoder untrained, and on raw pixels (32 x 32); every difference is paired, on the same
episodes. Resumes: a set whose result is written is skipped, a run that was cut goes on.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import medshot
from medshot.core.files import write_text
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.sample import EpisodeSampler
from medshot.evaluation.encoded import EncodedEpisodes, can_be_encoded, encode, without_encoder
from medshot.evaluation.protocol import MEDICAL, data_root, protocol
from medshot.evaluation.run import Result, evaluate
from medshot.evaluation.statistics import paired
from medshot.training.progress import bar
from record import Row, parse

SHOTS = (1, 5, 10)
HEADS = ("linear-probe", "lda", "nearest-centroid")
META = {
    "prototypical": {"options": {"distance": "mean-squared"}, "steps": 600, "meta_batch": 1},
    "maml": {"options": {"steps": 3, "lr": 0.03}, "steps": 200, "meta_batch": 2},
}


def main() -> None:
    options = parse(__doc__, steps=0)
    sets = {name: medshot.load(data_root() / f"cls_{name}") for name in MEDICAL}
    for name in options.only or MEDICAL:
        file = options.out / f"{name}.json"
        if not file.exists():
            others = [dataset for other, dataset in sets.items() if other != name]
            write_text(file, json.dumps(held_out(name, others, options.out), indent=1) + "\n")


def held_out(name: str, others: list[Dataset], out: Path) -> dict[str, Any]:
    """Everything measured on the set `name`, after meta-training on the others."""
    row = Row(out, {"set": name})
    learners = dict(_learners(name, others, out))
    row.trained()
    found: dict[str, Any] = {}
    kept: dict[int, torch.Tensor] = {}
    for shot in SHOTS:
        rules = protocol(f"medshot26/{name}/{shot}s")
        sampler = rules.sampler(rules.dataset())
        results = {
            key: evaluate(*_ready(learner, sampler, kept), episodes=rules.episodes, name=key)
            for key, learner in learners.items()
        }
        found[rules.name] = {key: _summary(key, results) for key in results}
        print(name, shot, {k: str(r.interval("balanced accuracy")) for k, r in results.items()})
    return row.about | {"results": found}


def _ready(
    learner: Learner, sampler: EpisodeSampler, kept: dict[int, torch.Tensor]
) -> tuple[Learner, EpisodeSampler | EncodedEpisodes]:
    """Learner and episodes; images are encoded once for all heads and shots of an encoder."""
    if not can_be_encoded(learner, sampler):
        return learner, sampler
    encoder = learner.encoder
    if id(encoder) not in kept:
        kept[id(encoder)] = encode(encoder, sampler.dataset.at(encoder.channels, encoder.size))
    return without_encoder(learner), EncodedEpisodes(sampler, kept[id(encoder)])


def _learners(name: str, others: list[Dataset], out: Path) -> Iterator[tuple[str, Learner]]:
    """Method/encoder and the learner, ready to be judged."""
    untrained = _encoder()
    yield from _heads("untrained", untrained)
    yield "prototypical/untrained", medshot.build("prototypical", encoder=untrained)
    yield from _heads("pixels", medshot.encoder("pixels", size=32))
    for method, settings in META.items():
        run = medshot.train(
            medshot.build(method, encoder=_encoder(), **settings["options"]),
            others,
            out=out / "runs" / f"{name}-{method}",
            way=5,
            shot=5,
            query=8,
            steps=settings["steps"],
            meta_batch=settings["meta_batch"],
            val_every=50,
            val_episodes=40,
            watch=bar,
        )
        yield f"{method}/{method}", run.learner
        yield from _heads(method, run.learner.encoder)


def _heads(encoder_name: str, encoder: torch.nn.Module) -> Iterator[tuple[str, Learner]]:
    for head in HEADS:
        yield f"{head}/{encoder_name}", medshot.build(head, encoder=encoder)


def _encoder() -> medshot.Encoder:
    torch.manual_seed(0)
    return medshot.encoder("conv4", width=32, halve="stride")


def _summary(key: str, results: dict[str, Result]) -> dict[str, Any]:
    """Means with intervals, and the paired difference to the linear probe on the same encoder."""
    mine, probe = results[key], results[f"linear-probe/{key.partition('/')[2]}"]
    pixels = results["linear-probe/pixels"]
    return {
        "metrics": mine.to_json()["metrics"],
        "minus_probe": vars(paired_scores(mine, probe)),
        "minus_probe_on_pixels": vars(paired_scores(mine, pixels)),
        "fingerprint": mine.episodes["fingerprint"],
    }


def paired_scores(first: Result, second: Result) -> Any:
    """The paired difference in balanced accuracy."""
    metric = "balanced accuracy"
    return paired(first.scores[metric], second.scores[metric])


if __name__ == "__main__":
    main()
