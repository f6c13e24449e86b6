"""What attacks and corruptions leave of a model, as a person reads it."""

from collections.abc import Mapping

from rich.table import Table

from medshot.app.show import say
from medshot.app.stage import cell
from medshot.core.task import is_share
from medshot.evaluation.cross_validation import OutOfFold
from medshot.robust.corrupt import Corrupted, lost
from medshot.robust.masking import signs, verdict
from medshot.robust.measure import Robustness


def attacks_table(found: Robustness, where: str) -> Table:
    """The leading metric, an epsilon a row, an attack a column."""
    attacks = list(dict.fromkeys(str(row.attack) for row in found.attacked))
    norm = found.attacked[0].attack.budget.measure.said
    title = (
        f"{found.clean.task.leading} on {where}, attacked in {norm}, with 95 % intervals over "
        "patients (images, where none are known)"
    )
    table = Table("epsilon", *attacks, title=title, title_justify="left", box=None)
    table.add_row("0", *[_of(found.clean)] * len(attacks))
    for epsilon in dict.fromkeys(str(row.attack.budget) for row in found.attacked):
        there = {str(r.attack): r for r in found.attacked if str(r.attack.budget) == epsilon}
        cells = [_of(there[a].answers) if a in there else "" for a in attacks]
        table.add_row(epsilon, *cells)
    return table


def corruptions_table(clean: OutOfFold, found: Mapping[str, Corrupted], where: str) -> Table:
    """The leading metric, a family a row: over all kinds and severities, and at some."""
    title = f"{clean.task.leading} on {where}, corrupted (as they are: {_of(clean)})"
    severities = (1, 3, 5)
    heads = ("all severities", "lost", *(f"severity {s}" for s in severities))
    table = Table("family", *heads, title=title, title_justify="left", box=None)
    for family, corrupted in found.items():
        gone = cell(clean.task.leading, lost(clean, corrupted.all()))
        at = [_of(corrupted.at(s)) for s in severities]
        table.add_row(family, _of(corrupted.all()), gone, *at)
    return table


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
