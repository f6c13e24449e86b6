"""Choosing a learner on real sets: a fixed list, a portfolio that won elsewhere, a search.

    python experiments/selecting.py --out runs/selecting [--only head_ct_hemorrhage ...]

Six `cls_*` sets, episodes of 5 and 20 support images a class, all classes, 10 query images a class,
split by patient where patients are known. Every configuration is tried on the folds of each
support, as `medshot select` does, and then learns from all of it and answers the queries: from that
all ways to choose among the configurations are judged. The portfolio is the stored one, without the
set that it is judged on. On the first episodes of each set the search itself runs too. Fine-tuning
is left out, for time. Each part is kept as it is done, and not done again;
experiments/selecting_tables.py makes the table.
"""

import json
from typing import Any

import torch

import medshot
from medshot.app.builder import Builder
from medshot.app.kinds import kind_called
from medshot.core.atomic import write_text
from medshot.core.episode import Episode
from medshot.core.learner import Learner
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.protocols import data_root
from medshot.select import Configuration
from medshot.select.choice import Redrawn, best_of, through
from medshot.select.cross_validator import Bench
from medshot.select.portfolio import stored
from medshot.select.search import Limits, search
from medshot.select.space import FINETUNE, Space
from record import commit, hardware, parse

SETS = (
    *("brain_mri_tumor", "covid_cxr", "head_ct_hemorrhage"),
    *("lung_histology", "pneumonia_mnist", "skin_ham10000"),
)
SHOTS, QUERY, EPISODES = (5, 20), 10, 4
SEARCHED, TRIALS, QUEUE = 1, 20, 8  # episodes of each part on which a search runs; its size
FAMILIES = [
    family
    for family in kind_called("classification").families
    if family.learner != "finetune" and FINETUNE not in family.settings
]
BASELINE = Configuration(
    "linear-probe", "pixels", {"encoder.size": 64, "encoder.reduce": 1, "c": 100.0}
)
AUTO = [start for family in FAMILIES if family.simple for start in family.starts()]
TABLE = stored()["classification"]
STORED = [one for one in TABLE.configurations if one.learner != "finetune"]
ALL = [BASELINE, *AUTO, *STORED]


def main() -> None:
    options = parse(__doc__, steps=0)
    for name in options.only or SETS:
        for shot in SHOTS:
            file = options.out / f"{name}_{shot}.json"
            if not file.exists():
                write_text(file, json.dumps(_part(name, shot)) + "\n")
                print(file.name, flush=True)
    rows = [json.loads(f.read_text()) for f in sorted(options.out.glob("*_[0-9]*.json"))]
    about = {"hardware": hardware(), "commit": commit()}
    write_text(options.out / "result.json", json.dumps({**about, "rows": rows}) + "\n")


def _part(name: str, shot: int) -> dict[str, Any]:
    """Of every episode and configuration, what its support said and what the queries said."""
    images, build, found = medshot.load(data_root() / f"cls_{name}"), Builder(), []
    sampler = EpisodeSampler(images, way=len(images.labels), shot=shot, query=QUERY, seed=1234)
    for i in range(EPISODES):
        episode = sampler.episode(i)
        bench = _bench(episode)
        tried = [through(bench, lambda c=c: build(c)) for c in ALL]
        redrawn = Redrawn(bench, tried)
        row: dict[str, Any] = {
            "support": [t.scores[bench.task.leading] for t in tried],
            "better": [redrawn.minus(c, 0).low > 0 for c in range(len(ALL))],
            "query": [_score(build(c), episode) for c in ALL],
            "corrected": getattr(redrawn.corrected(), "mean", None),
        }
        if i < SEARCHED:
            row |= {"searched": _searched(bench, episode, won(name, shot)[:QUEUE])}
            row |= {"searched blindly": _searched(bench, episode, [])}
        found.append(row)
    return {"set": name, "shot": shot, "episodes": found}


def won(name: str, shot: int) -> list[Configuration]:
    """The portfolio for `shot` images a class, of all sets but `name`."""
    chosen = TABLE.portfolio(len(TABLE.configurations), shot, without=[name])
    return [one for one in chosen if one in STORED]


def _searched(bench: Bench, episode: Episode, queue: list[Configuration]) -> float:
    """What comes of a search that begins with the baseline and `queue`."""
    build, space = Builder(), Space(*FAMILIES)
    tried = search(bench, space, build, [BASELINE, *queue], Limits(trials=TRIALS))
    best = best_of([each for _, each in tried])
    return _score(build(tried[best or 0][0]), episode)


def _bench(episode: Episode) -> Bench:
    def images(encoder: torch.nn.Module) -> torch.Tensor:
        return _at(episode.support.x, encoder)

    return Bench(images, episode.support.y, episode.support.groups, episode.task)


def _at(x: torch.Tensor, encoder: torch.nn.Module) -> torch.Tensor:
    """Images of 64 pixels in the size of `encoder`."""
    size = (encoder.size, encoder.size)
    if x.shape[-2:] == size:
        return x
    return torch.nn.functional.interpolate(x, size, mode="bilinear", antialias=True)


@torch.no_grad()
def _score(learner: Learner, episode: Episode) -> float:
    task, query, support = episode.task, episode.query, episode.support
    shown = medshot.Examples(_at(support.x, learner.encoder), support.y, support.groups)
    predictor = learner.learn(shown, task)
    decoded = task.decode(predictor.answer_all(_at(query.x, learner.encoder)).double()).numpy()
    return task.metrics[task.leading](*task.evidence(decoded, query.y.numpy()))


if __name__ == "__main__":
    main()
