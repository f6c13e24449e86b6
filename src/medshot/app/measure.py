"""What `medshot evaluate` runs: a plan of episodes, the learner and its baselines on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medshot.app.choose import describe, run_or_learner
from medshot.app.show import busy, progress
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.core.parts import recipe
from medshot.data.load import load_one
from medshot.data.sample import EpisodeSampler
from medshot.evaluation.protocol import protocol as named_protocol
from medshot.evaluation.run import Result, evaluate, refuse_seen
from medshot.evaluation.statistics import paired
from medshot.learners.registry import build
from medshot.nn.encoder import encoder as build_encoder
from medshot.training.run import is_run, load_run


@dataclass(frozen=True)
class Plan:
    """Which episodes, how many, under what name, and in what form the protocol wants images."""

    name: str
    sampler: EpisodeSampler
    episodes: int
    form: dict[str, Any]
    about: dict[str, Any]


def planned(
    protocol: str | None,
    data: Sequence[Path],
    way: int | None,
    shot: int,
    query: int,
    episodes: int,
    seed: int,
) -> Plan:
    """The plan of a named protocol, or of a folder with the numbers given."""
    if protocol:
        rules = named_protocol(protocol)
        with busy(f"reading the data of {protocol}"):
            sampler = rules.sampler(rules.dataset())
        form = {name: getattr(rules, name) for name in ("channels", "size", "scaling")}
        return Plan(rules.name, sampler, rules.episodes, form, {"source": rules.source, **form})
    with busy(f"reading {data[0]}"):
        dataset = load_one(data[0])
    ways = way or len(dataset.labels)
    sampler = EpisodeSampler(dataset, way=ways, shot=shot, query=query, seed=seed)
    return Plan(f"{dataset.name} {ways}-way {shot}-shot", sampler, episodes, {}, {})


def measured(
    plan: Plan, learner: str, encoder: str, given: Sequence[str]
) -> tuple[dict[str, Result], dict[str, Any]]:
    """The learner and, on the same episodes, linear probes on its encoder and on pixels."""
    first = run_or_learner(learner, encoder, given, **(plan.form if encoder != "pixels" else {}))
    _check(plan, learner, first)
    probe = build("linear-probe", encoder=first.encoder)
    channels, size = first.encoder.channels, first.encoder.size
    pixels = build("linear-probe", encoder=build_encoder("pixels", channels=channels, size=size))
    results: dict[str, Result] = {}
    for each in (first, probe, pixels):
        name = describe(each)
        if name not in results:
            tick = lambda items, name=name: progress(name, items)  # noqa: E731
            results[name] = evaluate(
                each, plan.sampler, episodes=plan.episodes, name=name, tick=tick
            )
    return results, _record(plan, first, results)


def _check(plan: Plan, given: str, learner: Learner) -> None:
    if is_run(given):
        source = load_run(given).about["train"]
        seen = [part.get("hash", "") for part in source.get("mixture", [source])]
        refuse_seen(plan.sampler.dataset, seen)
    scaling = getattr(learner.encoder, "scaling", None)
    if plan.form and scaling != plan.form["scaling"]:
        raise ConfigError(
            f"The protocol {plan.name} scales intensities by {plan.form['scaling']!r}, this encoder "
            f"by {scaling!r}: the number would be of another protocol. Train with "
            f"--set encoder.scaling={plan.form['scaling']}."
        )


def _record(plan: Plan, learner: Learner, results: dict[str, Result]) -> dict[str, Any]:
    first, *others = results.values()
    metric = "balanced accuracy"
    return {
        "protocol": plan.name,
        **plan.about,
        "recipe": recipe(learner),
        "origin": learner.origin,
        **first.to_json(),
        "baselines": [other.to_json() for other in others],
        "minus_baseline": {
            o.learner: vars(paired(first.scores[metric], o.scores[metric])) for o in others
        },
    }
