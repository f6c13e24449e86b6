"""Choosing a learner on real sets: a fixed list, a portfolio that won elsewhere, a search.

    python experiments/selecting.py --out runs/selecting [--only head_ct_hemorrhage ...]
    python experiments/selecting.py auto --features runs/stacked --out docs/results/auto_regret.json

Six `cls_*` sets, episodes of 5 and 20 support images a class, all classes, 10 query images a class,
split by patient where patients are known. Every configuration is tried on the folds of each
support, as `medshot select` does, and then learns from all of it and answers the queries: from that
all ways to choose among the configurations are judged. The portfolio is the stored one, without the
set that it is judged on. On the first episodes of each set the search itself runs too. Fine-tuning
is left out, for time. Each part is kept as it is done, and not done again.

`auto`: what the choice that `medshot adapt` makes costs and gains. It chooses among the stacked
probe, the ImageNet linear probe and a linear probe on raw pixels by cross-validation inside the
support and a prior across sets (`selection.Auto`). Here on the features of the `cls_*` sets
(--features: the folder of `stacked_probe.py`, with its priors): 5 and 20 images a class, patients
apart; each set judged with a stacked probe and a prior of `Auto` that know no set of its modality.
Regret, by set: balanced accuracy of the bar less that of the choice where that is above 0; and of
the candidate that is best there in the mean, less the choice. Prints the prior over all sets, for
`medshot.presenters.classification.PRIOR`.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import medshot
from encoded_sets import MODALITIES, MODALITY, Encoded, encoded, episodes, sizes
from medshot.core.atomic import write_text
from medshot.core.episode import Episode
from medshot.core.learner import Learner
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.episodes import EncodedEpisodes, encode
from medshot.evaluation.protocols import data_root
from medshot.evaluation.statistics import mean_interval
from medshot.factory import Builder
from medshot.learners.closed_form.stacked_probe import StackedProbe
from medshot.presenters import kind_called
from medshot.selection import Configuration
from medshot.selection.auto import Auto
from medshot.selection.choice import BiasCorrectedBootstrap, best_of, through
from medshot.selection.cross_validator import CrossValidator
from medshot.selection.search import Limits, search
from medshot.selection.space import FINETUNE, Space, packaged_table
from medshot.tasks import Classification
from results import arguments, commit, hardware, made_on, markdown

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
TABLE = packaged_table()["classification"]
STORED = [one for one in TABLE.configurations if one.learner != "finetune"]
ALL = [BASELINE, *AUTO, *STORED]


CANDIDATES = "stacked probe", "ImageNet linear probe", "linear probe on pixels"  # of `auto`
PIXELS = {"size": 64, "reduce": 2}


def main() -> None:
    parser = arguments(__doc__, "ways", "auto")
    parser.add_argument("--out", type=Path, required=True, help="folder; of `auto`, file")
    parser.add_argument("--only", nargs="*", metavar="SET", default=SETS, help="only these sets")
    parser.add_argument("--features", type=Path, help="of `auto`: the folder of stacked_probe.py")
    parser.add_argument("--episodes", type=int, default=60, help="of `auto`; at 20 images a third")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    if options.part == "auto":
        if not options.features:
            parser.error("--features is missing: the folder of stacked_probe.py")
        torch.set_num_threads(1)
        regret(options.features, options.out, options.episodes)
    else:
        torch.set_num_threads(options.threads)
        ways(options.only, options.out)


def ways(names: Sequence[str], out: Path) -> None:
    """All ways to choose, on the sets `names`."""
    for name in names:
        for shot in SHOTS:
            file = out / f"{name}_{shot}.json"
            if not file.exists():
                write_text(file, json.dumps(_part(name, shot)) + "\n")
                print(file.name, flush=True)
    rows = [json.loads(f.read_text()) for f in sorted(out.glob("*_[0-9]*.json"))]
    about = {"hardware": hardware(), "commit": commit()}
    write_text(out / "result.json", json.dumps({**about, "rows": rows}) + "\n")


def _part(name: str, shot: int) -> dict[str, Any]:
    """Of every episode and configuration, what its support said and what the queries said."""
    images, build, found = medshot.load(data_root() / f"cls_{name}"), Builder(), []
    sampler = EpisodeSampler(images, way=len(images.labels), shot=shot, query=QUERY, seed=1234)
    for i in range(EPISODES):
        episode = sampler.episode(i)
        bench = _bench(episode)
        tried = [through(bench, lambda c=c: build(c)) for c in ALL]
        redrawn = BiasCorrectedBootstrap(bench, tried)
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


def _searched(bench: CrossValidator, episode: Episode, queue: list[Configuration]) -> float:
    """What comes of a search that begins with the baseline and `queue`."""
    build, space = Builder(), Space(*FAMILIES)
    tried = search(bench, space, build, [BASELINE, *queue], Limits(trials=TRIALS))
    best = best_of([each for _, each in tried])
    return _score(build(tried[best or 0][0]), episode)


def _bench(episode: Episode) -> CrossValidator:
    def images(encoder: torch.nn.Module) -> torch.Tensor:
        return _at(episode.support.x, encoder)

    return CrossValidator(images, episode.support.y, episode.support.groups, episode.task)


def _at(x: torch.Tensor, encoder: torch.nn.Module) -> torch.Tensor:
    """Images of 64 pixels in the size of `encoder`."""
    size: Any = encoder.size
    if x.shape[-2:] == (size, size):
        return x
    return torch.nn.functional.interpolate(x, (size, size), mode="bilinear", antialias=True)


@torch.no_grad()
def _score(learner: Learner, episode: Episode) -> float:
    task, query, support = episode.task, episode.query, episode.support
    shown = medshot.Examples(_at(support.x, learner.encoder), support.y, support.groups)
    predictor = learner.learn(shown, task)
    decoded = task.decode(predictor.predict_batches(_at(query.x, learner.encoder)).double()).numpy()
    return task.metrics[task.leading](*task.metric_inputs(decoded, query.y.numpy()))


def regret(features: Path, out: Path, count: int) -> None:
    """What `auto` chooses and what its candidates do on the same episodes, in the file `out`."""
    sets = {name: encoded(name, features) for name in MODALITY}
    rows = {name: Columns(found) for name, found in sets.items()}
    told: dict[str, Any] = {"hardware": hardware(), "commit": commit()}
    ahead: dict[str, Any] = {}
    for shot in SHOTS:
        alone, of = {}, count if shot == SHOTS[0] else count // 3
        for kind, names in MODALITIES.items():
            place = features / f"prior without {kind}"
            for name in names:
                found = [
                    _scores(m, sets[name], rows[name], shot, of) for m in _three(rows[name], place)
                ]
                alone[name] = [float(np.mean(s)) for s in found]
        if shot == SHOTS[0]:
            ahead = {name: np.subtract(each, each[0]) for name, each in alone.items()}
            told["prior"] = dict(zip(CANDIDATES, _prior(list(ahead.values())), strict=True))
        chosen = {}
        for kind, names in MODALITIES.items():
            place = features / f"prior without {kind}"
            prior = _prior([ahead[n] for n in MODALITY if MODALITY[n] != kind])
            for name in names:
                auto = Auto(_three(rows[name], place), prior=prior)
                chosen[name] = float(np.mean(_scores(auto, sets[name], rows[name], shot, of)))
                print(shot, name, np.round(alone[name], 3), round(chosen[name], 3), flush=True)
        told[str(shot)] = _summary(alone, chosen) | {"episodes": of}
    write_text(out, json.dumps(told, indent=1) + "\n")
    print(json.dumps(told, indent=1))


class Columns:
    """All that the candidates read of an image in one row, and where each finds its own."""

    def __init__(self, found: Encoded) -> None:
        pixels = encode(medshot.encoder("pixels", **PIXELS), found.dataset.at(3, PIXELS["size"]))
        parts = {"plain": found.plain, "shown": found.shown, "bar": found.bar, "pixels": pixels}
        ends = np.cumsum([0, *(part.shape[1] for part in parts.values())])
        self.z = torch.cat(list(parts.values()), 1)
        self.at = {name: slice(*ends[i : i + 2]) for i, name in enumerate(parts)}


class Part(nn.Module):
    """In the place of an encoder: some columns of what is given."""

    def __init__(self, columns: slice) -> None:
        super().__init__()
        self.columns, self.n_features = columns, int(columns.stop - columns.start)

    def forward(self, x: Tensor) -> Tensor:
        """Those columns."""
        return x[:, self.columns]


class Stacked(StackedProbe):
    """The stacked probe on columns: it reads others of a support than of queries."""

    def __init__(self, columns: Columns, place: Path) -> None:
        super().__init__(Part(columns.at["plain"]), prior=str(place))
        self.sizes, self.known, self.shown = sizes(), True, columns.at["shown"]
        self.width = columns.z.shape[1]

    def _read(self, encoder: nn.Module, x: Tensor) -> Tensor:
        return x[:, self.shown] if x.shape[1] == self.width else x  # read already


def _three(columns: Columns, place: Path) -> list[Learner]:
    probes = [
        medshot.build("linear-probe", encoder=Part(columns.at[name])) for name in ("bar", "pixels")
    ]
    return [Stacked(columns, place), *probes]


@torch.no_grad()
def _scores(
    learner: Learner, found: Encoded, columns: Columns, shot: int, count: int
) -> list[float]:
    drawn = EncodedEpisodes(episodes(found, shot, seed=2), columns.z)
    metric, scores = Classification.metrics["balanced accuracy"], []
    for i in range(count):
        support, query, task = (e := drawn.episode(i)).support, e.query, e.task
        p = learner.learn(support, task)(query.x).double().softmax(1).numpy()
        scores.append(float(metric(p, query.y.numpy())))
    return scores


def _prior(ahead: list[Any]) -> list[tuple[float, float]]:
    """Mean and deviation, over sets, of each candidate's score minus that of the first."""
    values = np.array(ahead)
    return [(round(float(v.mean()), 3), round(float(v.std(ddof=1)), 3)) for v in values.T]


def _summary(alone: dict[str, list[float]], chosen: dict[str, float]) -> dict[str, Any]:
    each = 100 * np.array([alone[name] for name in alone])
    auto = 100 * np.array([chosen[name] for name in alone])
    others = {
        "the bar": each[:, 1],
        "the best in hindsight": each.max(1),
        "the stacked probe": each[:, 0],
    }
    return {
        "means": dict(zip((*CANDIDATES, "auto"), [*each.mean(0), auto.mean()], strict=True)),
        "mean regret": {n: round(float((v - auto).clip(0).mean()), 2) for n, v in others.items()},
        "auto minus the bar": round(float((auto - each[:, 1]).mean()), 2),
        "sets": {
            n: [*np.round(each[i], 1).tolist(), round(auto[i], 1)] for i, n in enumerate(alone)
        },
    }


AUTOS = list(range(1, 1 + len(AUTO)))
Measured = dict[str, Any]  # of one episode: what its support and its queries said
Way = Callable[[Measured, list[int]], float]  # with the portfolio: the score of what is chosen


def best(episode: Measured, among: list[int]) -> float:
    """What the best by the folds of the support does, of equals the first."""
    return episode["query"][_best(episode, among)]


def sure(episode: Measured, among: list[int]) -> float:
    """The same if its interval is above the baseline's, else the baseline."""
    winner = _best(episode, among)
    return episode["query"][winner if episode["better"][winner] else 0]


def _best(episode: Measured, among: list[int]) -> int:
    return max(among, key=lambda i: (episode["support"][i], -among.index(i)))


WAYS: dict[str, Way] = {
    "always the baseline": lambda e, p: e["query"][0],
    "the first of the portfolio, nothing tried": lambda e, p: e["query"][p[0]],
    "`auto`: its six candidates": lambda e, p: best(e, AUTOS),
    "the baseline and a portfolio of 2": lambda e, p: best(e, [0, *p[:2]]),
    "the baseline and a portfolio of 4": lambda e, p: best(e, [0, *p[:4]]),
    "the baseline and a portfolio of 8": lambda e, p: best(e, [0, *p[:8]]),
    "the same, but only if surely better": lambda e, p: sure(e, [0, *p[:8]]),
    "everything": lambda e, p: best(e, list(range(len(ALL)))),
    "a search of 20 trials, the portfolio first": lambda e, p: e["searched"],
    "a search of 20 trials, no portfolio": lambda e, p: e["searched blindly"],
    "the best in hindsight, by episode": lambda e, p: max(e["query"]),
}


def table(found: dict[str, Any]) -> str:
    """Mean balanced accuracy of what was chosen, and the paired difference to the baseline."""
    rows = found["rows"]
    tried = len(rows[0]["episodes"][0]["query"])
    if tried != len(ALL):  # a configuration is known by its place
        raise ValueError(
            f"The result is of {tried} configurations; the stored portfolio and `auto` now have "
            f"{len(ALL)}, so it does not say which is which. Measure it again."
        )
    heads = ["way to choose", *(f"{shot} images a class" for shot in SHOTS)]
    cells = [[n, *(_cell(_pairs(rows, shot, way)) for shot in SHOTS)] for n, way in WAYS.items()]
    return f"{markdown(heads, cells)}\n{_luck(rows)} {made_on(found)}\n"


def _pairs(rows: list[dict[str, Any]], shot: int, way: Way) -> np.ndarray:
    """What is chosen does, and what the baseline does, of each episode where it is known."""
    keys, pairs = [one.key for one in ALL], []
    for row in [row for row in rows if row["shot"] == shot]:
        portfolio = [keys.index(one.key) for one in won(row["set"], shot)]
        for episode in row["episodes"]:
            try:
                pairs.append((way(episode, portfolio), episode["query"][0]))
            except KeyError:  # a search runs on some of the episodes only
                continue
    return np.array(pairs)


def _cell(pairs: np.ndarray) -> str:
    minus, mean = mean_interval(100 * (pairs[:, 0] - pairs[:, 1])), 100 * pairs[:, 0].mean()
    said = f"{mean:.1f} ({minus.mean:+.1f} [{minus.low:+.1f}, {minus.high:+.1f}], n {len(pairs)})"
    return said if np.ptp(pairs[:, 0] - pairs[:, 1]) else f"{mean:.1f}"


def _luck(rows: list[dict[str, Any]]) -> str:
    """How far the winner's score among all is from what it does; and the corrected one."""
    said = []
    for shot in SHOTS:
        some = [e for row in rows if row["shot"] == shot for e in row["episodes"]]
        winners = [_best(e, list(range(len(ALL)))) for e in some]
        truth = np.array([e["query"][i] for e, i in zip(some, winners, strict=True)])
        score = np.array([e["support"][i] for e, i in zip(some, winners, strict=True)])
        fair = np.array([e["corrected"] for e in some], dtype=float)
        found = [mean_interval(100 * (each - truth)) for each in (score, fair)]
        texts = [f"{each.mean:+.1f} [{each.low:+.1f}, {each.high:+.1f}]" for each in found]
        said.append(f"{shot} images a class: {texts[0]}, corrected for the choice {texts[1]}")
    return (
        f"The score of the best of {len(ALL)} on its support minus what it does on the queries, "
        f"{'; '.join(said)}."
    )


if __name__ == "__main__":
    main()
