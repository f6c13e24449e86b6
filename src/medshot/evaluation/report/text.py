"""Wording of scores: numbers, counts, and the summary sentence of a report."""

import math
import re
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from medshot.core import Table
from medshot.evaluation.report.model import Difference, Estimate, MetricsTable, Support
from medshot.evaluation.statistics import counted

UNDEFINED = "undefined"
NO_REASON = "no reason was recorded"
NO_BASELINE = ", compared with no baseline"
MOST_LABELS_NAMED = 4
MINUS = "\N{MINUS SIGN}"


@runtime_checkable
class Measured(Protocol):
    """Fields of a report that the summary needs."""

    @property
    def support(self) -> Support:
        """The support."""
        ...

    @property
    def metrics(self) -> MetricsTable | None:
        """The scores, if any."""
        ...

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Differences to each baseline."""
        ...


def scores_table(scores: MetricsTable, caption: str = "") -> Table:
    """One row per metric, one column per method, each score with its 95% interval."""
    rows = ((row.name, *map(_scored, row.estimates)) for row in scores.rows)
    return Table(caption, ("", *scores.methods), tuple(rows))


def _scored(estimate: Estimate) -> str:
    return f"{number(estimate.mean)} {interval(estimate)}" if estimate.has_mean else UNDEFINED


def number(value: float, signed: bool = False) -> str:
    """Format a score with three decimals and a true minus sign; NaN is "undefined"."""
    if not math.isfinite(value):
        return UNDEFINED
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text.replace("-", MINUS)


def article(name: str) -> str:
    """Indefinite article by pronunciation: "an R2", "an IoU", "a macro AUROC"."""
    return "an" if re.match(r"[aeiouAEIO]|[FHLMNRSX][0-9A-Z]", name) else "a"


def interval(estimate: Estimate, signed: bool = False) -> str:
    """Format "[low, high]", or the reason why there is none."""
    if estimate.has_interval:
        return f"[{number(estimate.low, signed)}, {number(estimate.high, signed)}]"
    return f"interval undefined: {estimate.reason or NO_REASON}"


def in_words(estimate: Estimate, signed: bool = False, joint: str = ", ") -> str:
    """Format mean and interval for a sentence: "0.782, 95% interval 0.751 to 0.813"."""
    if not estimate.has_mean:
        return f"undefined: {estimate.reason or NO_REASON}"
    mean = number(estimate.mean, signed)
    if not estimate.has_interval:
        return f"{mean}{joint}{interval(estimate)}"
    low, high = number(estimate.low, signed), number(estimate.high, signed)
    return f"{mean}{joint}95% interval {low} to {high}"


def verdict(difference: Difference) -> str:
    """The verdict against the baseline, to follow "the learner is"."""
    joined = {
        "better": "better than",
        "worse": "worse than",
        "not distinguishable": "not distinguishable from",
        "undefined": "not comparable with",
    }
    return f"{joined[difference.verdict]} {difference.baseline}"


def summary_sentence(report: Measured) -> str:
    """Summary sentence: what was learned, from how much, how well, compared with what."""
    learned = _learned(report.support)
    if report.metrics is None:
        return f"{learned}; how well it does has not been measured."
    against = _against(report.differences, report.metrics)
    return f"{learned}; {_how_well(report.metrics)}{against}."


def _learned(support: Support) -> str:
    patients = "an unknown number of patients"
    if support.n_patients is not None:
        patients = counted(support.n_patients, "patient")
    images = counted(support.n_images, "labelled image")
    return (
        f"The predictor learned {support.goal or _task(support.labels)} from {images} of {patients}"
    )


def _task(labels: Sequence[str]) -> str:
    quoted = [f"“{label}”" for label in labels]
    if len(quoted) == 1:
        return f"to recognise {quoted[0]}"
    if len(quoted) == 2:
        return f"to tell {quoted[0]} from {quoted[1]}"
    if len(quoted) > MOST_LABELS_NAMED or not quoted:
        return f"to tell {len(quoted)} classes apart"
    return f"to tell {', '.join(quoted[:-1])} and {quoted[-1]} apart"


def _how_well(metrics: MetricsTable) -> str:
    row, learner = metrics.rows[0], metrics.methods[0]
    first = row.estimates[0]
    each = counted(first.n, metrics.unit)
    over = (
        f"{each} left out in turn" if metrics.in_turn else counted(first.n, f"test {metrics.unit}")
    )
    score = in_words(first, joint=" (") + (")" if first.has_mean else "")
    return f"over {over}, {learner} reaches {article(row.name)} {row.name} of {score}"


def _against(differences: Sequence[Difference], metrics: MetricsTable) -> str:
    """Comparison with the first baseline that has the leading metric."""
    for difference in differences:
        if difference.metric == metrics.rows[0].name:
            return f", {verdict(difference)} (difference {in_words(difference.estimate, True)})"
    return "; it is the simple baseline itself" if metrics.baseline else NO_BASELINE
