"""Selection of a learner and its settings for a support set: `medshot.select`."""

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medshot.api.adapt import Adaptation, adapted, with_doubts
from medshot.api.resolve import automatic, describe, refuse_transductive, run_or_learner
from medshot.core import ConfigError, DataError, Learner, Predictor, is_fraction
from medshot.core.atomic import unfinished
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.data.readers.registry import kind_of
from medshot.evaluation.report import Report, Table
from medshot.evaluation.statistics import Interval
from medshot.factory import WAYS, Builder
from medshot.presenters import kind_called
from medshot.selection.choice import RULE, Choice, Row, Selection, chosen_of
from medshot.selection.cross_validator import bench_of
from medshot.selection.search import Limits, Place, search, studies_in
from medshot.selection.space import Configuration, LearnerFamily, Space, packaged_table
from medshot.training.device import limit_threads
from medshot.training.progress import Watch, quiet
from medshot.training.run import is_run, load_run

NOTHING = (
    "Nothing can be left out to choose by, as a class has one patient (or image) only: the simple "
    "baseline is taken, and nothing else was tried."
)
FLATTERS = (
    "The chosen learner was chosen by its scores: they flatter, the more the more was tried. The "
    "summary says what to expect of it."
)


@dataclass(frozen=True, eq=False)
class Selected(Adaptation):
    """The adaptation of the learner that a search chose, and the search."""

    search: Selection
    seconds: float

    @property
    def tried(self) -> Table | None:
        """All candidates, the best first; None where nothing could be left out to choose by."""
        return self.report.tried

    def to_json(self) -> dict[str, Any]:
        """The rule, the choice and every candidate with its scores."""
        return {"seconds": self.seconds, **record(self.search)}


def select(
    data: Dataset | str | Path,
    *,
    budget: float = 600,
    trials: int | None = None,
    learners: Sequence[str | Path] = (),
    task: str | None = None,
    storage: str | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    out: str | Path | None = None,
    command: str = "",
    threads: int | None = 1,
    watch: Callable[[str], Watch] = lambda what: quiet,
) -> Selected:
    """Search for the learner, encoder and settings that predict these images best; adapt it.

    As `select_learner`, on a folder or a data set, followed by adaptation to all images with a
    report. `learners` are further candidates, by name or by the folder of a run. The result is
    saved to the new folder `out`; a search that was killed resumes from OUT.unfinished. `watch`
    shows the progress of what it is called with. `budget` is in seconds; `skip_bad` as in `adapt`.

    Raises:
        ConfigError, DataError: as `select_learner`.
        SaveError: `out` exists, or a learner whose predictors cannot be saved.
    """
    started = time.monotonic()
    kind = data.kind if isinstance(data, Dataset) else kind_of(Path(data), task)
    few = nullcontext() if threads is None else limit_threads(threads)
    place = nullcontext((None, None)) if out is None else unfinished(Path(out))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # untrained weights: the same folder gives the same predictor
        given = {str(name): run_or_learner(str(name), None, (), kind) for name in learners}
        for made in given.values():
            refuse_transductive(made)
        with place as (staging, working), few:
            dataset = data
            if not isinstance(dataset, Dataset):
                like = automatic(kind=kind).encoder
                form = {name: getattr(like, name, None) for name in ("channels", "size")}
                loaded = load_one(Path(dataset), **form, task=kind, skip_bad=skip_bad)
                dataset = with_doubts(loaded, Path(dataset))
            numbers: dict[str, Any] = {"budget": budget, "trials": trials, "seed": seed}
            found = select_learner(
                dataset,
                **numbers,
                learners=given,
                storage=storage,
                folder=working,
                watch=watch("select"),
            )
            seen = {name: load_run(name).about["seen"] for name in given if is_run(name)}
            chosen = finished(found, dataset, command, seen, watch)
            result = Selected(*chosen, found, time.monotonic() - started)
            if staging is not None:
                result.save_into(staging)
    return result


def selection_summary(found: Selection, metric: str) -> str:
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
    return f"{value:{sign}.{3 if is_fraction(metric) else 2}f}"


QUEUE = 8  # configurations that won elsewhere


def select_learner(
    dataset: Dataset,
    *,
    budget: int | float = 600,
    trials: int | None = None,
    learners: Mapping[str, Learner] | None = None,
    storage: str | None = None,
    folder: Path | None = None,
    seed: int = 0,
    watch: Watch = quiet,
) -> Selection:
    """Search for the learner, encoder and settings that predict the images of `dataset` best.

    Every candidate is judged by cross-validation, patient by patient. First come the simple
    baseline, `learners` (meta-trained ones, by any name), what won on other data sets, and what
    `auto` chooses from; then Optuna draws. It ends after `budget` seconds, within one fold, or
    after so many `trials`: then the same seed gives the same choice. What was tried is kept in
    `folder`, from which a search that was killed goes on, or in `storage` (as Optuna names one),
    where several workers with folders of their own search together.

    Where a class has one patient (or image) only, nothing can be left out: it is the baseline.

    Raises:
        ConfigError: Optuna is not installed; limits that cannot be; a storage that cannot be
            opened; a folder where something else was begun.
        MedshotError: the baseline itself cannot learn from `dataset`.
    """
    if not 0 < budget < math.inf or (trials is not None and trials < 1):
        raise ConfigError(f"budget={budget}, trials={trials}: some time, please, and one at least.")
    kind = kind_called(dataset.kind)
    form = {name: getattr(dataset.preprocessing, name) for name in ("channels", "size")}
    baseline, bench = kind.baselines(**form)[0], bench_of(dataset, kind.folds)
    if not bench.folds:
        return Selection(baseline, None)
    given = {f"{describe(baseline)} (baseline)": baseline, **(learners or {})}
    tuned = [LearnerFamily(name, settings=WAYS) for name in learners or ()]
    space = Space(*(LearnerFamily(name) for name in given), *kind.families, *tuned)
    build = Builder(given)
    queue = [*(Configuration(name) for name in given), *_first(dataset, tuned)]
    place = _place(storage, folder, _identity(dataset, space))
    limits = Limits(budget, trials)
    tried = search(bench, space, build, queue, limits, place=place, seed=seed, watch=watch)
    if not tried[0][1].whole:
        raise DataError(f"Even the simple baseline cannot learn from this. {tried[0][1].why}")
    choice = chosen_of(bench, tried)
    folds = bench.folds if len(bench.groups) == len(dataset) else None
    return Selection(build(choice.chosen.configuration), choice, folds)


def finished(
    found: Selection,
    dataset: Dataset,
    command: str,
    seen: Mapping[str, Any],
    watch: Callable[[str], Watch] = lambda what: quiet,
) -> tuple[Predictor, Report]:
    """The predictor that the chosen learner makes of all images, and the report with the search.

    `seen` is what each run was meta-trained on, by the name that it was given.
    """
    metric, choice = dataset.task.leading, found.choice
    name = choice.chosen.configuration.learner if choice else ""
    known = seen.get(name, ())
    predictor, report = adapted(found.learner, dataset, command, known, watch, folds=found.folds)
    summary = f"{report.summary} {selection_summary(found, metric)}"
    if choice is None:
        return predictor, replace(report, summary=summary)
    expected = choice.corrected and round(choice.corrected.mean, 3)
    noted = {"candidates": len(choice.rows), "metric": metric, "expected": expected}
    predictor.with_card(predictor.known_card().after("select", **noted))
    warnings = (FLATTERS, *report.warnings)
    tried = table_of(choice, metric)
    return predictor, replace(report, summary=summary, warnings=warnings, tried=tried)


def _first(dataset: Dataset, tuned: Sequence[LearnerFamily]) -> list[Configuration]:
    """What `auto` chooses from, what won on other data, `tuned`, then each other family once."""
    kind = kind_called(dataset.kind)
    found = [start for family in kind.families if family.simple for start in family.starts()]
    if dataset.kind in packaged_table():
        shot = float(np.median(list(dataset.counts().values())))
        found += packaged_table()[dataset.kind].portfolio(QUEUE, shot)
    others = [family for family in kind.families if not family.simple]
    for family in (*tuned, *others):  # what takes long comes late
        found += family.starts()
    return found


def _identity(dataset: Dataset, space: Space) -> str:
    """A name that is another where images or candidates are others."""
    said = repr((dataset.hash, dataset.labels, dataset.kind, space.families))
    return f"medshot-{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def _place(storage: str | None, folder: Path | None, study: str) -> Place:
    """Where the search is kept: a database in `folder`, if nothing else is said."""
    if folder is None:
        return Place(storage, study)
    folder.mkdir(parents=True, exist_ok=True)
    own = f"sqlite:///{folder / 'study.db'}"
    if storage is None and any(name != study for name in studies_in(own)):
        raise ConfigError(
            f"{folder} holds a search on other images or among other learners. Give the same to go "
            "on with it, or remove it to begin again."
        )
    return Place(storage or own, study, str(folder.absolute()), folder)
