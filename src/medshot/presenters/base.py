"""Base class of presenters: what only the commands need to know of a task."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from medshot.core import WRITERS, Answers, Card, ConfigError, Learner, Predictor, Registry
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSource
from medshot.data.layouts.recognize import masks_of
from medshot.data.tables.manifest import find_images, find_rows, find_volumes
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import FOLDS, OutOfFold
from medshot.factory import Builder
from medshot.selection import Auto, LearnerFamily
from medshot.selection.auto import Priors

KINDS: Registry["Kind"] = Registry("task", "medshot.presenters")
FINDERS = {0: find_rows, 2: find_images, 3: find_volumes}  # by the number of spatial axes


class Kind(ABC):
    """Presenter of one task; a subclass is registered under its `name`."""

    name: ClassVar[str]  # of the task, as `--task` takes it
    encoder: ClassVar[str]  # default encoder of a learner that is given by name
    linear: ClassVar[str] = "linear-probe"  # baseline of `evaluate` on the same encoder
    out: ClassVar[str] = "answers.csv"  # default output of `predict`, as `adapt` prints it
    ways: ClassVar[bool] = False  # True: an episode may use a subset of the classes
    families: ClassVar[tuple[LearnerFamily, ...]]  # search space of `select`
    folds: ClassVar[int] = FOLDS  # of selection: fewer where training takes long
    prior: ClassVar[Mapping[str, tuple[float, float]]] = {}  # prior of the candidates, see `Auto`
    average: ClassVar[str] = ""  # learner that averages the two best candidates
    control: ClassVar[str] = ""  # baseline that does not look at the image

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in cls.__dict__:
            KINDS[cls.name] = WRITERS[cls.name] = cls()

    def candidates(self, *, slow: bool = False) -> Auto:
        """Candidates of `--learner auto`, the simple ones first; the slow ones where asked for."""
        build = Builder()
        families = [f for f in self.families if f.simple or (slow and f.slow)]
        first = [start for family in families for start in family.starts()]
        return Auto(
            [build(start) for start in first],
            folds=self.folds,
            prior=self.priors([start.name for start in first]),
            average=self.average,
        ).eval()

    def priors(self, names: Sequence[str]) -> Priors:
        """Prior of the candidates of these names, see `Auto`."""
        return [self.prior[name] for name in names] if self.prior else ()

    def baselines(self, **form: Any) -> list[Learner]:
        """Baselines of a report; the first is the one of the comparison."""
        return [self.baseline(**form)]

    @abstractmethod
    def baseline(self, **form: Any) -> Learner:
        """The baseline that every report shows; `form` is channels and size of the images."""

    @abstractmethod
    def support(self, dataset: Dataset) -> r.Support:
        """The support set, as the report shows it."""

    @abstractmethod
    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Further fields of the report; `unseen` says how the predictions were made."""

    @abstractmethod
    def answers(self, out: Path, card: Card) -> AbstractContextManager[Answers]:
        """Writer of `predict`: `out` is created atomically at the end of the block."""

    def files(self, images: Sequence[Path], card: Card) -> Sequence[Path]:
        """The files that a predictor can read, among names and in folders."""
        masks = set().union(*(masks_of(path) for path in images))
        found = FINDERS[card.preprocessing.dims](list(images))
        return [path for path in found if path not in masks]

    def listed(self, folder: Path) -> str:
        """Summary of a folder from its names and tables, without decoding files."""
        del folder
        return ""

    def from_run(self, learner: Learner) -> Learner:
        """Adapt a meta-trained learner to this task; by default it is not changed."""
        return learner

    def phantoms(
        self, way: int, shot: int, query: int, *, channels: int, size: int | None, seed: int
    ) -> EpisodeSource:
        """Synthetic episodes. Raises `ConfigError` where there are none for this task."""
        raise ConfigError(f"There are no phantoms for {self.name}: name folders with --data.")

    def warnings(self, dataset: Dataset) -> Sequence[str]:
        """Warnings about the data, for the report."""
        del dataset
        return ()

    def doubts(self, dataset: Dataset, predictor: Predictor) -> Sequence[str]:
        """Warnings about `predictor` by what it answers to `dataset`, which it learned from."""
        del dataset, predictor
        return ()


def kind_called(name: str) -> Kind:
    """The presenter of the task `name`."""
    return KINDS.find(name)
