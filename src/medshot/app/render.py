"""Tables and lines for people. What users named (files, classes) is shown, never obeyed.

What `--json FILE` keeps: the numbers of a command.

What attacks and corruptions leave of a model, as a person reads it.
"""

import json
import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from shlex import join
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from medshot.app.parse import program
from medshot.core.atomic import write_text
from medshot.core.task import is_share
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.episodes import Result
from medshot.evaluation.report import MetricsTable, Report
from medshot.evaluation.report.text import interval, number
from medshot.evaluation.statistics import Interval, nan_to_null, paired
from medshot.stages.robustness.corruption import Corrupted, lost
from medshot.stages.robustness.evaluate import Robustness, signs, verdict
from medshot.training.progress import FIRST, plain

console = Console(highlight=False, markup=False, emoji=False, quiet=not FIRST)


def say(text: str, start: str = "") -> None:
    """A paragraph, on a terminal wrapped between words: a path is never cut in two."""
    lines = [plain(text)]
    if console.is_terminal:
        width = max(console.width - len(start), 20)
        lines = textwrap.wrap(lines[0], width, break_long_words=False, break_on_hyphens=False)
    for i, line in enumerate(lines or [""]):
        tell((start if i == 0 else " " * len(start)) + line)


def tell(line: str = "") -> None:
    """A line to copy from: never wrapped."""
    console.print(plain(line), soft_wrap=True)


def show(title: str, table: Table) -> None:
    """A table under a heading of its own: a path there is not cut to the table's width."""
    say(title)
    console.print(table)


def results_table(results: Mapping[str, Result], title: str) -> Table:
    """Metrics with intervals (shares in percent), a learner a row, the paired difference beside."""
    first, *_ = results.values()
    table = Table(
        title=title,
        caption=f"difference: {first.leading} of the first learner minus that of this one, paired",
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("learner", overflow="fold", min_width=16)
    for metric in first.scores:
        unit = " %" if is_share(metric) else ""
        table.add_column(metric.replace(" ", "\n") + unit, justify="right", no_wrap=True)
    table.add_column("difference", justify="right", no_wrap=True)
    for name, result in results.items():
        found = [result.interval(metric) for metric in first.scores]
        cells = [_cell(metric, i) for metric, i in zip(first.scores, found, strict=True)]
        label = f"{name} (transductive)" if result.transductive else name
        table.add_row(label, *cells, "" if result is first else _difference(first, result))
    return table


def scores_table(scores: MetricsTable) -> Table:
    """The scores of a report: a metric a row, a method a column, intervals beside."""
    table = Table("", *scores.methods, box=None, padding=(0, 2, 0, 0))
    for row in scores.rows:
        cells = [f"{number(e.mean)} {interval(e)}" for e in row.estimates]
        table.add_row(row.name, *cells)
    return table


def conclude(report: Report, out: Path, answers: str) -> None:
    """What a report says, where it is, and the command that asks the predictor in `out` next."""
    say(report.summary)
    for warning in report.warnings:
        say(warning, start="  - ")
    if report.metrics:
        console.print(scores_table(report.metrics))
    tell()
    tell(f"Predictor:  {out}")
    tell(f"Report:     {out / 'report.html'}")
    next_step("predict", out, "NEW_IMAGES", "--out", answers, start="Next:       ")


def next_step(*words: str | Path, start: str = "Next: ") -> None:
    """The command of `words`, to be pasted into the shell in which this one was typed."""
    tell(f"{start}{program()} {join(map(str, words))}")


def _difference(first: Result, second: Result) -> str:
    found = paired(first.scores[first.leading], second.scores[first.leading])
    return _cell(first.leading, found, "+")


def _cell(metric: str, found: Interval, sign: str = "") -> str:
    by = 100 if is_share(metric) else 1
    return f"{by * found.mean:{sign}.2f} ± {by * found.half:.2f}"


def write_record(file: Path, record: dict[str, Any]) -> None:
    """Write `record` to `file`, and say so; what is not a number is null."""
    write_text(file, json.dumps(nan_to_null(record), indent=2, allow_nan=False) + "\n")
    tell(f"Written: {file}")


def show_attacks(found: Mapping[str, Robustness], where: str) -> None:
    """The leading metric of each model, as it is and under every attack."""
    first = next(iter(found.values()))
    norm = first.attacked[0].attack.budget.measure.said
    show(
        f"{unit(first.clean.task.leading)} on {where}, attacked in {norm}, {INTERVALS}",
        attacks(found),
    )


def attacks(found: Mapping[str, Robustness]) -> Table:
    """A row an epsilon and attack, a column a model; empty where one was not attacked so."""
    table = Table("epsilon", "attack", *found, box=None, padding=(0, 2, 0, 0))
    table.add_row("0", "", *(_of(model.clean) for model in found.values()))
    by_attack = [
        {(str(row.attack.budget), str(row.attack)): row.answers for row in model.attacked}
        for model in found.values()
    ]
    longest_first = sorted(by_attack, key=len, reverse=True)
    for epsilon, attack in dict.fromkeys(key for model in longest_first for key in model):
        answers = (model.get((epsilon, attack)) for model in by_attack)
        table.add_row(epsilon, attack, *("" if of is None else _of(of) for of in answers))
    return table


def show_corruptions(clean: OutOfFold, found: Mapping[str, Corrupted], where: str) -> None:
    """The leading metric, a family a row: over all kinds and severities, and at some."""
    metric, severities = clean.task.leading, (1, 3, 5)
    heads = ("all severities", "lost", *(f"at {s}" for s in severities))
    table = Table("family", *heads, box=None, padding=(0, 2, 0, 0))
    for family, corrupted in found.items():
        gone = cell(metric, lost(clean, corrupted.all()))
        at = [cell(metric, corrupted.at(s).interval(metric)).split()[0] for s in severities]
        table.add_row(family, _of(corrupted.all()), gone, *at)
    show(
        f"{unit(metric)} on {where}, corrupted, in severities 1 to 5 (as they are: {_of(clean)})",
        table,
    )


def tell_of_masking(found: Robustness) -> None:
    """Whether gradients seem masked, and by what one sees it."""
    say(verdict(found))
    for sign in signs(found):
        say(sign, start="  - ")


def change_of(before: OutOfFold, after: OutOfFold) -> str:
    """By how much the leading metric went up or down: `-3.1 [-5.0, -1.0] points`."""
    metric = before.task.leading
    unit = " points" if is_share(metric) else ""
    return cell(metric, after.minus(before, metric)) + unit


def _of(answers: OutOfFold) -> str:
    return cell(answers.task.leading, answers.interval(answers.task.leading))


INTERVALS = "with 95 % intervals over patients (images, where none are known)"


def unit(metric: str) -> str:
    """A metric as tables of stages call it: `balanced accuracy %`, and `RMSE` as it is."""
    return f"{metric} %" if is_share(metric) else metric


def cell(metric: str, found: Interval) -> str:
    """`81.0 [75.2, 86.1]`: a share in percent, another number in its unit."""
    if not math.isfinite(found.mean):
        return "undefined"
    by, digits = (100, 1) if is_share(metric) else (1, 2)
    mean, low, high = (f"{by * v:.{digits}f}" for v in (found.mean, found.low, found.high))
    return f"{mean} [{low}, {high}]"
