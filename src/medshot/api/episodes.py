"""Few-shot evaluation over many episodes, of a named protocol or drawn from a folder."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from medshot.api.resolve import describe, run_or_learner, training_data_of
from medshot.core import ConfigError, Learner, Result, Table, described
from medshot.data.checks.skip import skipping_bad
from medshot.data.dataset import Dataset, DrawnEpisodes
from medshot.data.load import load_one
from medshot.data.readers.registry import USUAL, kind_of
from medshot.evaluation.episodes import EpisodeScores, evaluate, refuse_seen
from medshot.evaluation.protocols import Protocol, protocols
from medshot.evaluation.protocols import protocol as named_protocol
from medshot.evaluation.statistics import paired, with_unit
from medshot.learners.registry import build
from medshot.presenters import kind_called
from medshot.training.progress import Watch, quiet

SHOT, QUERY, EPISODES = 5, 10, 600  # where neither a protocol nor the caller gives them


@dataclass(frozen=True, eq=False)
class EpisodeEvaluation(Result):
    """Scores of learners on the same episodes; the others are compared with the first.

    `results` has the learners in the order given, then the baselines.
    """

    name: str  # of the protocol, or of data set and episodes
    results: dict[str, EpisodeScores]
    learner: Learner  # the first
    about: dict[str, Any] = field(default_factory=dict)  # source and image form of a protocol

    @property
    def fingerprint(self) -> str:
        """The hash of the episodes."""
        return next(iter(self.results.values())).episodes["fingerprint"]

    def table(self) -> Table:
        """A learner a row: metrics with 95 % intervals, and the paired difference."""
        first, *_ = self.results.values()
        rows = []
        for name, result in self.results.items():
            label = f"{name} (transductive)" if result.transductive else name
            cells = [result.interval(metric).plus_minus(metric) for metric in first.scores]
            minus = paired(result.scores[first.leading], first.scores[first.leading])
            difference = "" if result is first else minus.plus_minus(first.leading, "+")
            rows.append((label, *cells, difference))
        caption = (
            f"{self.name}: {first.episodes['count']} episodes (hash {self.fingerprint}), mean ± "
            f"95 % interval. Difference: {first.leading} of this learner minus that of the first, "
            "paired"
        )
        return Table(caption, ("learner", *map(with_unit, first.scores), "difference"), tuple(rows))

    def to_json(self) -> dict[str, Any]:
        """Every score with its interval, and what is needed to get it again."""
        first, *others = self.results.values()
        metric = first.leading
        return {
            "protocol": self.name,
            **self.about,
            "recipe": described(self.learner),
            "origin": self.learner.origin,
            **first.to_json(),
            "baselines": [other.to_json() for other in others],
            "minus_baseline": {
                o.learner: vars(paired(first.scores[metric], o.scores[metric])) for o in others
            },
        }


@dataclass(frozen=True)
class EvaluationPlan:
    """The episodes of an evaluation and the image form that its protocol fixes."""

    name: str
    sampler: DrawnEpisodes
    episodes: int
    form: dict[str, Any]
    about: dict[str, Any]


def evaluate_episodes(
    *learners: Learner | str | Path,
    data: Dataset | str | Path | None = None,
    protocol: str | None = None,
    task: str | None = None,
    encoder: str | None = None,
    options: Sequence[str] = (),
    way: int | None = None,
    shot: int | None = None,
    query: int | None = None,
    episodes: int | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    watch: Callable[[str], Watch] = lambda name: quiet,
) -> EpisodeEvaluation:
    """Adapt learners to each of many episodes and score their predictions for the queries.

    A learner is an object, a name of `list_learners()` (built with `encoder` and `options`, as the
    command line takes them), or the folder of a run. The linear probe on the encoder of the first
    and the simple baselines of the task are evaluated on the same episodes.

    Args:
        learners: one or several.
        data: images from which episodes are drawn; or `protocol`, the name of a fixed list.
        task: the kind of task of a folder; by default as its labels.csv says.
        way: classes an episode (all).
        shot: support images a class (5; with masks, in all).
        query: query images a class (10; with masks, in all).
        episodes: how many (600).
        seed: of untrained weights and of the episodes.
        skip_bad: leave out lines and files that cannot be used, with a note.

    Raises:
        ConfigError: neither data nor a protocol, or both; numbers that a protocol fixes; an
            unknown learner; an encoder of another image form than the protocol's.
        DataError: too few images for such episodes.
        LeakError: a run learned from some of the images.
    """
    given = {"way": way, "shot": shot, "query": query, "episodes": episodes}
    given = {name: number for name, number in given.items() if number is not None}
    if not learners:
        raise ConfigError("Name one learner at least.")
    if (protocol is None) == (data is None):
        raise ConfigError("Give either --protocol NAME or --data DIR, one of them.")
    fixed = [f"--{name}" for name in (*given, *(["task"] if task else []))]
    if protocol and fixed:
        raise ConfigError(
            f"The protocol {protocol} fixes its numbers: leave {', '.join(fixed)} out."
        )
    kind = data.kind if isinstance(data, Dataset) else kind_of(Path(data), task) if data else USUAL
    if way is not None and not kind_called(kind).ways:
        raise ConfigError("--way is for labels: episodes of other targets have all of them.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        form = form_of(protocol)
        made = [
            each
            if isinstance(each, Learner)
            else run_or_learner(str(each), encoder, options, kind, **form)
            for each in learners
        ]
        with skipping_bad(skip_bad):
            plan = planned(protocol, data, task=kind, seed=seed, **given)
        for each, learner in zip(learners, made, strict=True):
            _check(plan, str(each), learner)
        return score_episodes(plan, made, watch)


def list_protocols() -> tuple[Protocol, ...]:
    """The named protocols: each with `.name`, `.source`, way, shot, query and image form."""
    return tuple(protocols().values())


def form_of(protocol: str | None) -> dict[str, Any]:
    """The image form (channels, size, scaling) that a protocol fixes; empty where none is named."""
    rules = named_protocol(protocol) if protocol else None
    return {name: getattr(rules, name) for name in ("channels", "size", "scaling")} if rules else {}


def planned(
    protocol: str | None,
    data: Dataset | str | Path | None,
    *,
    task: str | None = None,
    way: int | None = None,
    shot: int = SHOT,
    query: int = QUERY,
    episodes: int = EPISODES,
    seed: int = 0,
) -> EvaluationPlan:
    """The episodes of a named protocol, or of a data set with the numbers given."""
    if protocol:
        rules, form = named_protocol(protocol), form_of(protocol)
        sampler = rules.sampler(rules.dataset())
        return EvaluationPlan(
            rules.name, sampler, rules.episodes, form, {"source": rules.source, **form}
        )
    if not isinstance(data, Dataset):
        data = load_one(Path(str(data)), task=kind_of(Path(str(data)), task))
    ways = way or len(data.labels)
    sampler = data.episodes(way=ways, shot=shot, query=query, seed=seed)
    name = f"{shot}-shot" if not data.task.by_class else f"{ways}-way {shot}-shot"
    return EvaluationPlan(f"{data.name} {name}", sampler, episodes, {}, {})


def score_episodes(
    plan: EvaluationPlan,
    learners: Sequence[Learner],
    watch: Callable[[str], Watch] = lambda name: quiet,
) -> EpisodeEvaluation:
    """The scores of learners and baselines on the episodes of `plan`.

    A protocol fixes the image form, and with it the baseline.
    """
    first, kind = learners[0], kind_called(plan.sampler.dataset.kind)
    probe = build(kind.linear, encoder=first.encoder)
    probe.origin = first.origin  # of the encoder that the two share
    form = {name: getattr(first.encoder, name) for name in ("channels", "size")}
    simple = [kind.baseline(**form)] if plan.form else kind.baselines(**form)[:2]
    results: dict[str, EpisodeScores] = {}
    for each in (*learners, probe, *simple):
        name = describe(each)
        if name not in results:
            results[name] = evaluate(
                each,
                plan.sampler,
                episodes=plan.episodes,
                name=name,
                tick=lambda items, name=name: _ticked(items, watch(name)),
            )
    return EpisodeEvaluation(plan.name, results, first, plan.about)


def _ticked(items: Iterable[int], watch: Watch) -> Iterator[int]:
    """`items`, each shown as done after it."""
    listed = list(items)
    with watch(len(listed), 0) as tick:
        for done, item in enumerate(listed, 1):
            yield item
            tick(done, None)


def _check(plan: EvaluationPlan, given: str, learner: Learner) -> None:
    """Refuse images that the run `given` learned from, and an encoder of another image form."""
    refuse_seen(plan.sampler.dataset, training_data_of(given, learner))
    for name, wanted in plan.form.items():
        has = getattr(learner.encoder, name, None)
        if has != wanted:
            raise ConfigError(
                f"The protocol {plan.name} wants images with {name} {wanted!r}, this encoder takes "
                f"{has!r}: the number would be of another protocol. Train with "
                f"--set encoder.{name}={wanted}."
            )
