"""What a search found, for a person, for a page and for a program."""

from typing import Any

from rich.table import Table as Drawn

from medshot.app.show import plain
from medshot.core.task import is_share
from medshot.evaluation.report import Table
from medshot.evaluation.statistics import Interval
from medshot.select.choice import RULE, Choice, Row, Selection

SHOWN = 8  # rows on a terminal
WIDE = ("learner", "settings")
NOTHING = (
    "Nothing can be left out to choose by, as a class has one patient (or image) only: the simple "
    "baseline is taken, and nothing else was tried."
)
FLATTERS = (
    "The chosen learner was chosen by its scores: they flatter, the more the more was tried. The "
    "summary says what to expect of it."
)


def in_words(found: Selection, metric: str) -> str:
    """What was chosen of how many, against the baseline, and what to expect of it."""
    if found.choice is None:
        return NOTHING
    choice = found.choice
    rows, one = choice.rows, choice.chosen.configuration
    whole = sum(row.tried.whole for row in rows)
    settings = f" ({one.words})" if one.words else ""
    said = f"Of {len(rows)} candidates, {whole} of them tried to the end, {one.name}{settings} was "
    return f"{said}chosen. {choice.verdict} {_expected(choice, metric)}"


def table_of(choice: Choice, metric: str) -> Table:
    """All that was tried, the best first, those that were not tried to the end last."""
    columns = ("learner", "settings", metric, "minus the baseline", "seconds", "")
    rows = tuple(_cells(row, choice, metric) for row in _ranked(choice))
    caption = "With 95% intervals over patients (images, where none are known)"
    return Table(f"{caption}. {RULE.removesuffix('.')}", columns, rows)


def drawn(table: Table) -> Drawn:
    """The first rows of the same, on a terminal; all are in the report."""
    found = Drawn(box=None, padding=(0, 2, 0, 0))
    for name in table.columns:
        found.add_column(name, overflow="fold", min_width=16 if name in WIDE else None)
    for row in table.rows[:SHOWN]:
        found.add_row(*(plain(cell) for cell in row))
    if len(table.rows) > SHOWN:
        found.caption = f"and {len(table.rows) - SHOWN} more, in the report"
    return found


def record(found: Selection) -> dict[str, Any]:
    """All of it in the terms of JSON."""
    if found.choice is None:
        return {"chosen": None, "verdict": NOTHING, "tried": []}
    choice = found.choice
    return {
        "rule": RULE,
        "chosen": _named(choice.chosen),
        "baseline": _named(choice.baseline),
        "better than the baseline": choice.sure,
        "verdict": choice.verdict,
        "corrected": None if choice.corrected is None else vars(choice.corrected),
        "tried": [_listed(row) for row in choice.rows],
    }


def _expected(choice: Choice, metric: str) -> str:
    if choice.corrected is None or choice.chosen.score is None:
        return "There are too few patients to say what to expect of a choice among so many."
    score = _number(choice.chosen.score.mean, metric)
    return (
        f"Its {metric} of {score} is that of the best of many, which flatters; corrected for the "
        f"choice, expect {_interval(choice.corrected, metric)} (95% interval, bootstrap)."
    )


def _ranked(choice: Choice) -> list[Row]:
    def place(row: Row) -> tuple[bool, bool, float]:
        return row is not choice.chosen, row.score is None, -(row.score.mean if row.score else 0)

    return sorted(choice.rows, key=place)


def _cells(row: Row, choice: Choice, metric: str) -> tuple[str, ...]:
    remark = "chosen" if row is choice.chosen else row.tried.why
    return (
        row.configuration.name,
        row.configuration.words,
        _interval(row.score, metric) if row.score else "",
        _interval(row.minus, metric, "+") if row.minus else "",
        f"{row.tried.seconds:.1f}",
        remark,
    )


def _listed(row: Row) -> dict[str, Any]:
    return {
        **_named(row),
        "scores": row.tried.scores,
        "interval": None if row.score is None else vars(row.score),
        "minus the baseline": None if row.minus is None else vars(row.minus),
        "seconds": row.tried.seconds,
        "why not to the end": row.tried.why,
    }


def _named(row: Row) -> dict[str, Any]:
    one = row.configuration
    return {"learner": one.learner, "encoder": one.encoder, "settings": dict(one.settings)}


def _interval(found: Interval, metric: str, sign: str = "") -> str:
    low, high = _number(found.low, metric, sign), _number(found.high, metric, sign)
    return f"{_number(found.mean, metric, sign)} [{low}, {high}]"


def _number(value: float, metric: str, sign: str = "") -> str:
    return f"{value:{sign}.{3 if is_share(metric) else 2}f}"
