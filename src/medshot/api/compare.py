"""Learners and predictors on the same labelled images, paired: `compare`, `evaluate`."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from medshot.api.adapt import AUTO
from medshot.api.evaluation import Evaluation, evaluated
from medshot.api.resolve import automatic, run_or_learner
from medshot.core import ConfigError, Learner, Predictor, load_predictor
from medshot.data.checks.skip import skipping_bad
from medshot.data.dataset import Dataset
from medshot.data.readers.registry import kind_of
from medshot.training.progress import Watch, quiet

Model = Predictor | Learner | str | Path


def compare(
    models: Mapping[str, Model],
    data: Dataset | str | Path,
    *,
    task: str | None = None,
    watch: Callable[[str], Watch] = lambda name: quiet,
) -> Evaluation:
    """Scores of learners and predictors on the same images, and differences to the first.

    A model is a learner, a predictor, the folder of either (a run, or a saved predictor), `auto`,
    or a name of `list_learners()`. A learner is cross-validated: each image is predicted by
    a predictor trained on neither it nor its patient. A predictor predicts all images; it must not
    have learned from any of them. Differences are paired, patient by patient.

    Raises:
        ConfigError: no model, or an unknown name.
        DataError: images that cannot be used, or models that answer different questions.
        LeakError: a model learned from some of these images before.
    """
    if not models:
        raise ConfigError('Name one model at least: compare({"mine": "prototypical"}, data).')
    kind = data.kind if isinstance(data, Dataset) else kind_of(Path(data), task)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # untrained weights: the same images give the same scores
        made = {name: model_of(each, kind) for name, each in models.items()}
        return evaluated(made, data, watch, kind)


def evaluate(
    *models: Model,
    data: Dataset | str | Path,
    task: str | None = None,
    skip_bad: bool = False,
    watch: Callable[[str], Watch] = lambda name: quiet,
) -> Evaluation:
    """As `compare`, for models without names: each goes by its folder's, or by what was typed.

    With `skip_bad`, lines and files that cannot be used are left out, with a note.

    Raises:
        ConfigError: no model, or the same one twice.
        DataError, LeakError: as `compare`.
        SaveError: a folder holds no predictor, or one of the predictors has no card.
    """
    folders = [Path(each).resolve().name for each in models if isinstance(each, str | Path)]
    named: dict[str, Model] = {}
    for i, model in enumerate(models, 1):
        if not isinstance(model, str | Path):
            named[f"model {i}"] = model
        else:
            name = Path(model).resolve().name
            named[name if folders.count(name) == 1 else str(model)] = model
    if not models or len(named) < len(models):
        raise ConfigError("Name one model at least to evaluate, and each of them once.")
    with skipping_bad(skip_bad):
        return compare(named, data, task=task, watch=watch)


def cross_validate(
    data: Dataset | str | Path,
    learner: str | Path | Learner = AUTO,
    *,
    task: str | None = None,
    watch: Callable[[str], Watch] = lambda name: quiet,
) -> Evaluation:
    """The scores of a learner on patients left out of a data set, with 95 % intervals.

    5 folds, or as many as the rarest class has patients (images, where none are known).

    Raises:
        DataError: a class has images of one patient only, so nothing can be left out.
    """
    name = "learner" if isinstance(learner, Learner) else str(learner)
    return compare({name: learner}, data, task=task, watch=watch)


def model_of(given: Model, kind: str) -> Predictor | Learner:
    """The predictor in a folder, or the learner that a name or a run's folder means."""
    if isinstance(given, Predictor | Learner):
        return given
    place = Path(given)
    if (place / "predictor.json").is_file() or (place.is_dir() and not any(place.iterdir())):
        return load_predictor(place)
    return (
        automatic(kind=kind) if str(given) == AUTO else run_or_learner(str(given), None, (), kind)
    )
