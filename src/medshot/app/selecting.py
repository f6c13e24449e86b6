"""Choose a learner and its settings for a support set: `medshot.select_learner`."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medshot.app.builder import Builder
from medshot.app.choose import describe
from medshot.app.finetuned import WAYS
from medshot.app.kinds import kind_called
from medshot.app.report import adapted
from medshot.app.selected import FLATTERS, in_words, table_of
from medshot.core.errors import ConfigError, DataError
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.data.dataset import Dataset
from medshot.evaluation.report import Report
from medshot.select.choice import Selection, chosen_of
from medshot.select.cross_validator import bench_of
from medshot.select.portfolio import stored
from medshot.select.search import Limits, Place, search, studies_in
from medshot.select.space import Configuration, Family, Space
from medshot.training.progress import Watch, quiet

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
    tuned = [Family(name, settings=WAYS) for name in learners or ()]
    space = Space(*(Family(name) for name in given), *kind.families, *tuned)
    build = Builder(given)
    queue = [*(Configuration(name) for name in given), *_first(dataset, tuned)]
    place = _place(storage, folder, _identity(dataset, space))
    limits = Limits(budget, trials)
    tried = search(bench, space, build, queue, limits, place=place, seed=seed, watch=watch)
    if not tried[0][1].whole:
        raise DataError(f"Even the simple baseline cannot learn from this. {tried[0][1].why}")
    choice = chosen_of(bench, tried)
    return Selection(build(choice.chosen.configuration), choice)


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
    metric, choice = dataset.task().leading, found.choice
    name = choice.chosen.configuration.learner if choice else ""
    predictor, report = adapted(found.learner, dataset, command, seen.get(name, ()), watch)
    summary = f"{report.summary} {in_words(found, metric)}"
    if choice is None:
        return predictor, replace(report, summary=summary)
    expected = choice.corrected and round(choice.corrected.mean, 3)
    noted = {"candidates": len(choice.rows), "metric": metric, "expected": expected}
    predictor.with_card(predictor.known_card().after("select", **noted))
    warnings = (FLATTERS, *report.warnings)
    tried = table_of(choice, metric)
    return predictor, replace(report, summary=summary, warnings=warnings, tried=tried)


def _first(dataset: Dataset, tuned: Sequence[Family]) -> list[Configuration]:
    """What `auto` chooses from, what won on other data, `tuned`, then each other family once."""
    kind = kind_called(dataset.kind)
    found = [start for family in kind.families if family.simple for start in family.starts()]
    if dataset.kind in stored():
        shot = float(np.median(list(dataset.counts().values())))
        found += stored()[dataset.kind].portfolio(QUEUE, shot)
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
