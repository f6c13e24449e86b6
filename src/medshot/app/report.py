"""The report that `medshot adapt` writes beside a predictor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from medshot.app.choose import describe
from medshot.app.doubts import doubts
from medshot.app.kinds import kind_called
from medshot.app.show import busy
from medshot.core.errors import DataError, LeakError
from medshot.core.learner import Learner
from medshot.core.predictor import Card, Predictor
from medshot.core.registry import recipe
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import OutOfFold, cross_validate
from medshot.evaluation.report import Report, summary_sentence
from medshot.evaluation.run import refuse_seen
from medshot.evaluation.summarise import from_folds, provenance_of
from medshot.finetuning.learner import Tuned
from medshot.select import Auto
from medshot.training.progress import Watch, quiet

FEW = 30


def adapted(
    learner: Learner,
    dataset: Dataset,
    command: str,
    seen: Sequence[Mapping[str, Any]] = (),
    watch: Callable[[str], Watch] = lambda what: quiet,
) -> tuple[Predictor, Report]:
    """Adapt `learner` to all of `dataset`, and say how well it does on patients left out.

    `seen` is what the learner or its encoder was trained on, as `run.json` says it; `watch` shows
    the folds of what it is called with.
    """
    warnings = [*_seen(dataset, seen), *dataset.notes, *_warnings(dataset)]
    judged: dict[str, OutOfFold] = {}
    try:
        judged = _judged(learner, dataset, watch)
    except DataError as error:
        warnings.insert(0, f"How well this does could not be measured. {error}")
    with busy("learning from all images"), torch.no_grad():
        chosen = _chosen(learner, dataset)
        predictor = chosen.adapt(dataset)
    card = predictor.known_card()
    measured = _measured(dataset, judged) if judged else {}
    report = Report(
        title=f"{dataset.name}: {', '.join(dataset.labels)}",
        support=kind_called(dataset.kind).support(dataset),
        warnings=(*doubts(measured, describe(chosen)), *warnings, card.task.caution),
        provenance=provenance_of(card, _options(learner, chosen, card), command),
        **measured,
    )
    summary = summary_sentence(report) + _choice(learner, chosen, bool(judged))
    return predictor, replace(report, summary=summary)


def _seen(dataset: Dataset, seen: Sequence[Mapping[str, Any]]) -> list[str]:
    try:
        refuse_seen(dataset, seen)
    except LeakError as error:
        return [f"Its scores here are too good. {error}"]
    return []


def _judged(
    learner: Learner, dataset: Dataset, watch: Callable[[str], Watch]
) -> dict[str, OutOfFold]:
    """The learner and the kind's simple baselines, out of fold."""
    form = {name: getattr(dataset.preprocessing, name) for name in ("channels", "size")}
    wanted = [learner, learner.learner] if isinstance(learner, Tuned) else [learner]
    learners = {describe(each): each for each in wanted}
    for probe in kind_called(dataset.kind).baselines(**form):
        learners.setdefault(describe(probe), probe)
    return {
        name: cross_validate(each, dataset, watch=watch(f"judging {name}"))
        for name, each in learners.items()
    }


def _auto(learner: Learner) -> Auto | None:
    inner = learner.learner if isinstance(learner, Tuned) else learner
    return inner if isinstance(inner, Auto) else None


def _chosen(learner: Learner, dataset: Dataset) -> Learner:
    if not isinstance(learner, Auto | Tuned):
        return learner
    support, card = dataset.support(learner.encoder)
    return learner.choose(support, card.task)


def _choice(learner: Learner, chosen: Learner, judged: bool) -> str:
    auto = _auto(learner)
    if auto is None:
        return ""
    score = (
        " The score is that of choosing and then learning: in each fold the choice was made anew, "
        "on fewer images, and may have been another."
    )
    chose = (
        f" From all images, of {len(auto.candidates)} candidates, auto chose {describe(chosen)}."
    )
    return score + chose if judged else chose


def _measured(dataset: Dataset, judged: dict[str, OutOfFold]) -> dict[str, Any]:
    first = next(iter(judged.values()))
    table, differences = from_folds(judged, "patient" if dataset.has_patients else "image")
    shown = kind_called(dataset.kind).shown(dataset, first, _unseen(dataset, first))
    table = replace(table, baseline=len(judged) == 1)
    return {"metrics": table, "differences": differences, **shown}


def _unseen(dataset: Dataset, first: OutOfFold) -> str:
    left_out = "its patient" if dataset.has_patients else "it"
    how = f"({first.folds}-fold cross-validation)"
    return f"Each image was predicted by a predictor that had not seen {left_out} {how}."


def _warnings(dataset: Dataset) -> list[str]:
    few = f"Only {len(dataset)} images: the intervals are wide, and so is the truth."
    found = [few] if len(dataset) < FEW else []
    return [*found, *kind_called(dataset.kind).warnings(dataset)]


def _options(learner: Learner, chosen: Learner, card: Card) -> dict[str, str]:
    inner = chosen.learner if isinstance(chosen, Tuned) else chosen
    options = {k: str(v) for k, v in recipe(inner)["options"].items() if k != "encoder"}
    if isinstance(chosen, Tuned):
        settings = ", ".join(f"{name} {value}" for name, value in chosen.settings.items())
        stage = card.stages[-1] if card.stages else {}
        options["fine-tuned"] = f"{chosen.what}: {settings}"
        if stage.get("kept") is False:
            options["fine-tuned"] = f"no: {stage.get('why', 'it did not help on images left out')}"
    return {"chosen by auto": describe(chosen), **options} if learner is not chosen else options
