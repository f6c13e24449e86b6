"""What the commands need to know of a kind of task, and nothing else does."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from medshot.core.answers import WRITERS, Answers
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.core.registry import Registry
from medshot.core.task import Card
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSource
from medshot.data.tables.manifest import find_images, find_rows, find_volumes
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import FOLDS, OutOfFold
from medshot.factory.learners import Builder
from medshot.selection import Auto, Family

KINDS: Registry["Kind"] = Registry("task", "medshot.presenters")
FINDERS = {0: find_rows, 2: find_images, 3: find_volumes}  # by spatial axes of what is read


class Kind(ABC):
    """How the commands meet one kind of task; a subclass is found by the `name` it has."""

    name: ClassVar[str]  # of the task, as `--task` takes it
    encoder: ClassVar[str]  # what a learner by name is built on, if no encoder is named
    linear: ClassVar[str] = "linear-probe"  # the learner that `evaluate` puts on the same encoder
    out: ClassVar[str] = "answers.csv"  # what `adapt` proposes that `predict` writes
    ways: ClassVar[bool] = False  # True: an episode may have some of the classes only
    families: ClassVar[tuple[Family, ...]]  # what a search looks through
    folds: ClassVar[int] = FOLDS  # to choose by: fewer where learning takes long
    prior: ClassVar[Mapping[str, tuple[float, float]]] = {}  # of candidates, as `Auto` takes it

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in cls.__dict__:
            KINDS[cls.name] = WRITERS[cls.name] = cls()

    def candidates(self) -> Auto:
        """What `--learner auto` chooses from: the simple ones, as they are tried first."""
        build = Builder()
        first = [start for family in self.families if family.simple for start in family.starts()]
        prior = [self.prior[start.name] for start in first] if self.prior else ()
        return Auto([build(start) for start in first], folds=self.folds, prior=prior).eval()

    def baselines(self, **form: Any) -> list[Learner]:
        """The simple learners that a report shows, the one to compare with first."""
        return [self.baseline(**form)]

    @abstractmethod
    def baseline(self, **form: Any) -> Learner:
        """The simple learner beside everything, on images of such a form (channels, size)."""

    @abstractmethod
    def support(self, dataset: Dataset) -> r.Support:
        """What was learned from, as the report shows it."""

    @abstractmethod
    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Further fields of the report; `unseen` says how the answers were got."""

    @abstractmethod
    def answers(self, out: Path, card: Card) -> AbstractContextManager[Answers]:
        """Where `predict` writes to: `out` is there, whole, once the block has ended well."""

    def files(self, images: Sequence[Path], card: Card) -> Sequence[Path]:
        """The files of the form that a predictor takes, in folders and by name."""
        return FINDERS[card.preprocessing.dims](list(images))

    def listed(self, folder: Path) -> str:
        """What the names and tables of a folder say that it holds, before any file is opened."""
        del folder
        return ""

    def from_run(self, learner: Learner) -> Learner:
        """What a meta-trained learner is for this kind: by default, what it is."""
        return learner

    def phantoms(
        self, way: int, shot: int, query: int, *, channels: int, size: int | None, seed: int
    ) -> EpisodeSource:
        """Episodes that are drawn. Raises `ConfigError` where there are none of this kind."""
        raise ConfigError(f"There are no phantoms for {self.name}: name folders with --data.")

    def warnings(self, dataset: Dataset) -> Sequence[str]:
        """Doubts about such data that a report must say."""
        del dataset
        return ()


def kind_called(name: str) -> Kind:
    """The kind of task called `name`."""
    return KINDS.find(name)
