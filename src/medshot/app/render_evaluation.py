"""What `medshot evaluate` says of saved models: tables for people, and the report."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from medshot.api.adapt import overconfidence
from medshot.app.render import INTERVALS, cell, say, show
from medshot.app.stage import gains_table, say_verdicts
from medshot.core.task import Card
from medshot.evaluation import report as r
from medshot.evaluation.diagnostic_rates import RATES, calibration_error, rates_of
from medshot.evaluation.evaluate import Evaluation
from medshot.evaluation.report.build import from_folds, provenance_of
from medshot.evaluation.report.text import count, in_words, verdict
from medshot.evaluation.statistics import Interval
from medshot.presenters import kind_called

CALIBRATION = "expected calibration error"


def is_model(given: str) -> bool:
    """Whether a predictor was saved in the folder `given`."""
    return (Path(given) / "predictor.json").is_file()


def show_evaluation(found: Evaluation) -> None:
    """The scores, the differences to the first model, and the rates of each class."""
    for note in found.notes:
        say(note, start="  - ")
    table = gains_table(found)
    errors = [calibration_error(of) for of in found.answers.values()]
    if known := [cell(CALIBRATION, each) for each in errors if each is not None]:
        table.add_row(f"{CALIBRATION} %", *known)
    show(f"on {found.dataset.name} ({_size(found)}), {INTERVALS}", table)
    for name, of in found.answers.items():
        if rates := rates_of(of):
            show(f"{name}, each class against the others, in percent", _rates(found, rates))
    say_verdicts(found)


def report_of(found: Evaluation, command: str) -> r.Report:
    """The same as a page, with what the kind of task shows of the first model."""
    dataset, first = found.dataset, found.answers[found.first]
    kind = kind_called(dataset.kind)
    table, differences = from_folds(found.answers, _unit(found))
    shown = kind.shown(dataset, first, f"Each image was answered by {found.first}.")
    support = replace(kind.support(dataset), heading="What it was evaluated on")
    card = found.cards[found.first]
    tables = (*(_page_table(found, name) for name in found.answers), *shown.pop("tables", ()))
    page = r.Report(
        title=f"{dataset.name}: {', '.join(dataset.labels)}",
        support=support,
        warnings=(*_doubts(shown), *found.notes, card.task.caution),
        metrics=replace(table, in_turn=False),
        differences=differences,
        compared=("first model", "other model"),
        tables=tuple(filter(None, tables)),
        provenance=_provenance(card, dataset.name, dataset.hash, command),
        **shown,
    )
    return replace(page, summary=_summary(found, differences))


def _summary(found: Evaluation, differences: tuple[r.Difference, ...]) -> str:
    metric, of = found.metrics[0], found.interval()
    score = in_words(r.Estimate(of.mean, of.low, of.high, of.n, "a class is missing"))
    said = f"On {_size(found)}, {found.first} reaches: {metric} {score}."
    for each in differences:
        said += f" It is {verdict(each)} (difference {in_words(each.estimate, True)})."
    return said


def _size(found: Evaluation) -> str:
    images, of = count(len(found.dataset), "labelled image"), found.interval()
    return f"{images} of {count(of.n, 'patient')}" if found.dataset.has_patients else images


def _unit(found: Evaluation) -> str:
    return "patient" if found.dataset.has_patients else "image"


def _rates(found: Evaluation, rates: list[dict[str, Interval]]) -> Table:
    table = Table("", "images", *RATES, box=None, padding=(0, 2, 0, 0))
    for row in _rows(found, rates):
        table.add_row(*row)
    return table


def _page_table(found: Evaluation, name: str) -> r.Table | None:
    of = found.answers[name]
    rates, error = rates_of(of), calibration_error(of)
    if not rates:
        return None
    said = "; ".join(f"{rate}: {what}" for rate, what in RATES.items())
    caption = f"{name}, each class against the others, in percent with 95 % intervals. {said}"
    if error is not None:
        caption += f". Its {CALIBRATION}: {cell(CALIBRATION, error)} %"
    return r.Table(caption, ("Class", "Images", *RATES), tuple(_rows(found, rates)))


def _rows(found: Evaluation, rates: list[dict[str, Interval]]) -> Iterator[tuple[str, ...]]:
    counts = found.dataset.counts()
    for label, each in zip(found.dataset.labels, rates, strict=True):
        yield label, str(counts[label]), *map(_percent, each.values())


def _percent(found: Interval) -> str:
    """`81 [75, 86]`, and a dash for a share of no image."""
    if not math.isfinite(found.mean):
        return "-"
    mean, low, high = (f"{100 * v:.0f}" for v in (found.mean, found.low, found.high))
    return f"{mean} [{low}, {high}]"


def _doubts(shown: Mapping[str, object]) -> Iterator[str]:
    reliability = shown.get("reliability")
    if isinstance(reliability, r.Reliability):
        yield from overconfidence(reliability)


def _provenance(card: Card, name: str, hash_: str, command: str) -> r.Provenance | None:
    """Of the first model; none where it is fused, of several."""
    if not card.learner:
        return None
    return provenance_of(card, {"evaluated on": f"{name}, hash {hash_}"}, command)
