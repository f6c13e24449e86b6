"""What `medshot evaluate` runs: a plan of episodes, the learner and its baselines on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medshot.api.resolve import describe, training_data_of
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.core.registry import described
from medshot.data.dataset import DrawnEpisodes
from medshot.data.load import load_one
from medshot.data.readers.registry import kind_of
from medshot.evaluation.episodes import Result, evaluate, refuse_seen
from medshot.evaluation.protocols import protocol as named_protocol
from medshot.evaluation.statistics import nan_to_null, paired
from medshot.learners.registry import build
from medshot.presenters import kind_called
from medshot.training.progress import busy, progress


@dataclass(frozen=True)
class Plan:
    """Which episodes, how many, under what name, and in what form the protocol wants images."""

    name: str
    sampler: DrawnEpisodes
    episodes: int
    form: dict[str, Any]
    about: dict[str, Any]


def form_of(protocol: str | None) -> dict[str, Any]:
    """The form that a protocol asks of images; nothing where none is named."""
    rules = named_protocol(protocol) if protocol else None
    return {name: getattr(rules, name) for name in ("channels", "size", "scaling")} if rules else {}


def planned(
    protocol: str | None,
    data: Sequence[Path],
    *,
    task: str | None = None,
    way: int | None = None,
    shot: int = 5,
    query: int = 10,
    episodes: int = 600,
    seed: int = 0,
) -> Plan:
    """The plan of a named protocol, or of a folder with the numbers given."""
    if protocol:
        rules, form = named_protocol(protocol), form_of(protocol)
        with busy(f"reading the data of {protocol}"):
            sampler = rules.sampler(rules.dataset())
        return Plan(rules.name, sampler, rules.episodes, form, {"source": rules.source, **form})
    with busy(f"reading {data[0]}"):
        dataset = load_one(data[0], task=kind_of(data[0], task))
    ways = way or len(dataset.labels)
    sampler = dataset.episodes(way=ways, shot=shot, query=query, seed=seed)
    name = f"{shot}-shot" if not dataset.task.by_class else f"{ways}-way {shot}-shot"
    return Plan(f"{dataset.name} {name}", sampler, episodes, {}, {})


def measured(plan: Plan, given: str, first: Learner) -> tuple[dict[str, Result], dict[str, Any]]:
    """The learner and, on the same episodes, the kind's linear one on its encoder and baselines.

    A protocol fixes the form of images, and with it the baseline.

    `given` is what was typed for the learner: of a run, what it learned from is refused.
    """
    _check(plan, given, first)
    kind = kind_called(plan.sampler.dataset.kind)
    probe = build(kind.linear, encoder=first.encoder)
    probe.origin = first.origin  # of the encoder that the two share
    form = {name: getattr(first.encoder, name) for name in ("channels", "size")}
    simple = [kind.baseline(**form)] if plan.form else kind.baselines(**form)[:2]
    results: dict[str, Result] = {}
    for each in (first, probe, *simple):
        name = describe(each)
        if name not in results:
            tick = lambda items, name=name: progress(name, items, "episode")  # noqa: E731
            results[name] = evaluate(
                each, plan.sampler, episodes=plan.episodes, name=name, tick=tick
            )
    return results, _record(plan, first, results)


def _check(plan: Plan, given: str, learner: Learner) -> None:
    refuse_seen(plan.sampler.dataset, training_data_of(given, learner))
    for name, wanted in plan.form.items():
        has = getattr(learner.encoder, name, None)
        if has != wanted:
            raise ConfigError(
                f"The protocol {plan.name} wants images with {name} {wanted!r}, this encoder takes "
                f"{has!r}: the number would be of another protocol. Train with "
                f"--set encoder.{name}={wanted}."
            )


def _record(plan: Plan, learner: Learner, results: dict[str, Result]) -> dict[str, Any]:
    first, *others = results.values()
    metric = first.leading
    return nan_to_null(
        {
            "protocol": plan.name,
            **plan.about,
            "recipe": described(learner),
            "origin": learner.origin,
            **first.to_json(),
            "baselines": [other.to_json() for other in others],
            "minus_baseline": {
                o.learner: vars(paired(first.scores[metric], o.scores[metric])) for o in others
            },
        }
    )
