"""Tables and lines on the terminal, and `--json FILE`.

What users named (files, classes) is shown with control characters escaped.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from medshot.app.terminal import console, say, tell
from medshot.core.table import write_json
from medshot.core.task import is_share
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.statistics import Interval
from medshot.stages.robustness.corruption import Corrupted, lost
from medshot.stages.robustness.evaluate import Robustness, signs, verdict


def show(title: str, table: Table) -> None:
    """A table under a heading of its own: a path there is not cut to the table's width."""
    say(title)
    console.print(table)


def write_record(file: Path, record: dict[str, Any]) -> None:
    """Write `record` to `file`, and say so; what is not a number is null."""
    write_json(file, record)
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
    return found.text(metric)
