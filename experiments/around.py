"""Around any learner: the same meta-training without and with a contrast of tasks,
self-distillation, mixed classes; and, where tasks come one kind after the other, with replay.

    python experiments/around.py --out runs/around

Omniglot `snell17` 5-way 1-shot, prototypical network on Conv4: 1500 steps of two 20-way episodes on
the training classes, images shifted by up to 2 pixels; the last weights, test episodes, each
variant paired with the plain one. Medical: prototypical network, the nine `cls_*` sets one after
the other, 100 steps each, judged on the held-out patients of all; replay and a mixture of all sets
from the start, each paired with plainly following. One seed: the intervals are over episodes.
"""

import json
from pathlib import Path
from typing import Any

import torch

import medshot
from medshot.core.atomic import write_text
from medshot.data.augment import Mixed, Shifted
from medshot.data.episodes import EpisodeSampler, EpisodeSource, Mixture
from medshot.data.replay import ReplayBuffer, SequentialTasks
from medshot.evaluation.episodes import EpisodeScores, evaluate
from medshot.evaluation.protocols import MEDICAL, data_root, protocol
from medshot.evaluation.statistics import paired
from medshot.training.objective import SelfDistillation, TaskContrast
from medshot.training.progress import bar
from omniglot import FAST, FORM, SNELL
from results import ahead, commit, hardware, made_on, markdown, parse, plus_minus

STEPS, EACH = 1500, 100
EPISODES = 600


def main() -> None:
    options = parse(__doc__, steps=STEPS, sets=False)
    found: dict[str, Any] = {"hardware": hardware(), "commit": commit()}
    found["omniglot"] = _omniglot(options.out, options.steps)
    found["in turn"] = _in_turn(options.out)
    write_text(options.out / "result.json", json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def _omniglot(out: Path, steps: int) -> dict[str, Any]:
    rules = protocol(SNELL)
    form: dict[str, Any] = {"shot": 1, "query": 5, "seed": 0}
    plain = Shifted(EpisodeSampler(rules.dataset("train"), way=20, **form), 2)
    runs: dict[str, medshot.Run] = {}

    def train(name: str, data: EpisodeSource, **terms: Any) -> None:
        torch.manual_seed(0)
        encoder = medshot.encoder("conv4", norm="batch", **FORM)
        runs[name] = medshot.train(
            medshot.build("prototypical", encoder=encoder),
            data,
            val=EpisodeSampler(rules.dataset("val"), way=5, **form),
            out=out / name.replace(" ", "_"),
            steps=steps,
            meta_batch=2,
            val_every=steps,
            halve_every=steps // 6,
            watch=bar,
            **FAST,
            **terms,
        )

    train("plain", plain)
    train("contrast of tasks", plain, terms=[TaskContrast(0.1)])
    train("self-distillation", plain, terms=[SelfDistillation(runs["plain"].learner)])
    train("mixed classes", Mixed(plain))
    test = rules.sampler(rules.dataset("test"))
    return _against_first({n: evaluate(r.learner, test, episodes=1000) for n, r in runs.items()})


def _in_turn(out: Path) -> dict[str, Any]:
    sets = [medshot.load(data_root() / f"cls_{name}").at(3, 32) for name in MEDICAL]
    halves = [medshot.split_patients(dataset, 0.3, 0) for dataset in sets]
    form: dict[str, Any] = {"shot": 5, "query": 5, "seed": 0}
    taught = [EpisodeSampler(a, way=len(a.labels), **form) for a, _ in halves]
    judged = [EpisodeSampler(b, way=len(b.labels), **form) for _, b in halves]
    follow = SequentialTasks(taught, EACH)
    sources = {
        "in turn": follow,
        "in turn, replay": ReplayBuffer(follow),
        "mixture": Mixture(taught),
    }
    found: dict[str, Any] = {}
    for name, source in sources.items():
        torch.manual_seed(0)
        encoder = medshot.encoder("conv4", size=32, width=32, halve="stride")
        run = medshot.train(
            medshot.build("prototypical", encoder=encoder, distance="mean-squared"),
            source,
            val=Mixture(judged),
            out=out / name.replace(" ", "_").replace(",", ""),
            steps=EACH * len(sets),
            val_every=EACH * len(sets),
            watch=bar,
        )
        found[name] = {
            s: evaluate(run.learner, j, episodes=EPISODES // 3) for s, j in _named(judged)
        }
    return {s: _against_first({n: found[n][s] for n in found}) for s in MEDICAL}


def _named(judged: list[EpisodeSampler]) -> list[tuple[str, EpisodeSampler]]:
    return list(zip(MEDICAL, judged, strict=True))


def _against_first(results: dict[str, EpisodeScores]) -> dict[str, Any]:
    """Balanced accuracy of each, and its paired difference to the first."""
    scores = {name: result.scores["balanced accuracy"] for name, result in results.items()}
    first = next(iter(scores.values()))
    return {
        name: {
            "balanced accuracy": vars(results[name].interval("balanced accuracy")),
            "minus the first": vars(paired(mine, first)) if mine is not first else None,
        }
        for name, mine in scores.items()
    }


def table(found: dict[str, Any]) -> str:
    """Omniglot, a row a variant; the medical sets, a row a set in the order of learning."""
    variants = [
        [name, plus_minus(row["balanced accuracy"]), _minus_first(row)]
        for name, row in found["omniglot"].items()
    ]
    head = ["prototypical network", "Omniglot 5-way 1-shot", "minus plain"]
    return f"{markdown(head, variants)}\n{_in_turn_table(found['in turn'])}\n{made_on(found)}\n"


def _in_turn_table(found: dict[str, Any]) -> str:
    names = list(next(iter(found.values())))
    head = ["set, in the order of learning", names[0], *(f"{n}, minus this" for n in names[1:])]
    rows = []
    for name, by_way in found.items():
        first, *others = by_way.values()
        cells = [plus_minus(first["balanced accuracy"]), *map(_minus_first, others)]
        rows.append([f"`cls_{name}`", *cells])
    means = [[row[n]["balanced accuracy"]["mean"] for row in found.values()] for n in names]
    first, *others = [100 * sum(column) / len(column) for column in means]
    return markdown(head, [*rows, ["mean", f"{first:.1f}", *(f"{o - first:+.1f}" for o in others)]])


def _minus_first(row: dict[str, Any]) -> str:
    difference = row["minus the first"]
    return ahead(difference) if difference else ""


if __name__ == "__main__":
    main()
