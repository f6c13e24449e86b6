"""Choosing a learner on real sets: a fixed list, a portfolio that won elsewhere, a search.

    python experiments/selecting.py --out runs/selecting

Six `cls_*` sets, episodes of 5 and 20 support images a class, all classes, 10 query images a class,
split by patient where patients are known. Every configuration is tried on the folds of each
support, as `medshot select` does, and then learns from all of it and answers the queries: that
gives the table of what won where, and all ways to choose among the configurations can be judged
from it. Then the search itself, its queue made from the other five sets, without fine-tuning, for
time. Each part is kept as it is done, and not done again. experiments/selecting_tables.py makes the
tables.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import medshot
from medshot.app.builder import Builder
from medshot.app.kinds import kind_called
from medshot.core.episode import Episode
from medshot.core.files import write_text
from medshot.core.learner import Learner
from medshot.data.sample import EpisodeSampler
from medshot.evaluation.protocol import data_root
from medshot.select import Configuration
from medshot.select.bench import Bench
from medshot.select.portfolio import table_of
from medshot.select.redrawn import Redrawn
from medshot.select.search import Limits, search
from medshot.select.space import Space
from medshot.select.tried import best_of, through
from record import commit, hardware, parse

SETS = (
    *("brain_mri_tumor", "covid_cxr", "head_ct_hemorrhage"),
    *("lung_histology", "pneumonia_mnist", "skin_ham10000"),
)
SHOTS, QUERY, EPISODES = (5, 20), 10, 4
SEARCHED = 2  # episodes of each set and number of shots on which the search itself runs
QUEUE, TRIALS = 8, 20
FAMILIES = kind_called("classification").families
BASELINE = Configuration(
    "linear-probe", "pixels", {"encoder.reduce": 1, "c": 100.0}
)  # as `Kind.baseline`: raw pixels
COARSE = [  # beside what each family begins with
    Configuration("linear-probe", "pixels", {"encoder.reduce": 8, "c": 100.0}),
    Configuration("linear-probe", "pixels", {"encoder.reduce": 2, "c": 1.0}),
    Configuration("lda", "pixels", {"encoder.reduce": 8, "shrinkage": None}),
    Configuration("ridge", "pixels", {"encoder.reduce": 8, "penalty": 0.01}),
]
ALL = [BASELINE, *(start for family in FAMILIES for start in family.starts()), *COARSE]


def main() -> None:
    options = parse(__doc__, steps=0)
    for name in options.only or SETS:
        for shot in SHOTS:
            _kept(options.out / f"{name}_{shot}.json", lambda n=name, s=shot: _tabled(n, s))
    about = {"hardware": hardware(), "commit": commit()}
    rows = [json.loads(f.read_text()) for f in sorted(options.out.glob("*_[0-9]*.json"))]
    write_text(options.out / "result.json", json.dumps({**about, "rows": rows}) + "\n")
    if len(rows) < len(SETS) * len(SHOTS):
        return  # the queue of a search is made from what won on all other sets
    for name in options.only or SETS:
        for shot in SHOTS:
            file = options.out / f"searched_{name}_{shot}_.json"
            _kept(file, lambda n=name, s=shot: _searched(n, s, rows))
    found = [json.loads(f.read_text()) for f in sorted(options.out.glob("searched_*.json"))]
    write_text(
        options.out / "result.json", json.dumps({**about, "rows": rows, "searched": found}) + "\n"
    )


def _kept(file: Path, make: Any) -> None:
    if not file.exists():
        write_text(file, json.dumps(make()) + "\n")
        print(file.name, flush=True)


def _tabled(name: str, shot: int) -> dict[str, Any]:
    """Of every episode and configuration, what its support said and what the queries said."""
    build, found = Builder(), []
    for episode in _episodes(name, shot, EPISODES):
        bench = _bench(episode)
        tried = [through(bench, lambda c=c: build(c)) for c in ALL]
        redrawn = Redrawn(bench, tried)
        found.append(
            {
                "support": [t.scores[bench.task.leading] for t in tried],
                "better": [redrawn.minus(i, 0).low > 0 for i in range(len(ALL))],
                "query": [_score(build(c), episode) for c in ALL],
                "seconds": [t.seconds for t in tried],
                "corrected": getattr(redrawn.corrected(), "mean", None),
            }
        )
    return {"set": name, "shot": shot, "episodes": found}


def _searched(name: str, shot: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What a search finds whose queue is made from the other sets; the same without the queue."""
    table, found = table_of(as_table(rows)), []
    won = [c for c in table.portfolio(len(ALL), shot, without=[name]) if c.learner != "finetune"]
    for episode in _episodes(name, shot, SEARCHED):
        row = {}
        closed = Space(*(family for family in FAMILIES if family.learner != "finetune"))
        for way, queue in (("portfolio", [BASELINE, *won[:QUEUE]]), ("no portfolio", [BASELINE])):
            build, bench = Builder(), _bench(episode)
            tried = search(bench, closed, build, queue, Limits(trials=TRIALS))
            best = best_of([each for _, each in tried])
            row[way] = _score(build(tried[best or 0][0]), episode)
        found.append(row)
    return {"set": name, "shot": shot, "episodes": found}


def as_table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean query score of every configuration, in the form of the package's stored table."""
    return {
        "configurations": [vars(c) for c in ALL],
        "rows": [
            {
                "set": row["set"],
                "shot": row["shot"],
                "scores": np.mean([e["query"] for e in row["episodes"]], 0).round(4).tolist(),
            }
            for row in rows
        ],
    }


def _episodes(name: str, shot: int, count: int) -> list[Episode]:
    images = medshot.load(data_root() / f"cls_{name}")
    sampler = EpisodeSampler(images, way=len(images.labels), shot=shot, query=QUERY, seed=1234)
    return [sampler.episode(i) for i in range(count)]


def _bench(episode: Episode) -> Bench:
    support = episode.support
    return Bench(lambda encoder: support.x, support.y, support.groups, episode.task)


@torch.no_grad()
def _score(learner: Learner, episode: Episode) -> float:
    task, query = episode.task, episode.query
    predictor = learner.learn(episode.support, task)
    decoded = task.decode(predictor.answer_all(query.x).double()).numpy()
    return task.metrics[task.leading](*task.evidence(decoded, query.y.numpy()))


if __name__ == "__main__":
    main()
