"""Images in memory whose targets are no single class: numbers, grades, findings."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from medshot.core.errors import DataError
from medshot.core.task import Task
from medshot.data.dataset import Dataset
from medshot.tasks import MultiLabel, Ordinal, Regression


@dataclass(frozen=True, eq=False)
class Targeted(Dataset):
    """Images with a target each, of which an episode has so many in all."""

    by_class = False

    def only(self, classes: Sequence[int]) -> "Targeted":
        """Refused: such targets are learnt together."""
        raise DataError(f"{self.name} has no classes of its own: split it by patient.")


@dataclass(frozen=True, eq=False)
class Measured(Targeted):
    """A number an image, in the user's unit; `labels` says what it is called."""

    y: Float[Tensor, "n 1"]

    def counts(self) -> dict[str, int]:
        """How many images have the number: all."""
        return {self.labels[0]: len(self)}

    def task(self) -> Task:
        """Regression of one number."""
        return Regression(1)


@dataclass(frozen=True, eq=False)
class Graded(Targeted):
    """A grade an image: its place among `labels`, which are in order."""

    y: Int[Tensor, "n"]

    def task(self) -> Task:
        """So many grades, and one question fewer."""
        return Ordinal(len(self.labels) - 1)


@dataclass(frozen=True, eq=False)
class Found(Targeted):
    """The findings of an image: a one for each of `labels` that is there."""

    y: Int[Tensor, "n k"]

    def counts(self) -> dict[str, int]:
        """On how many images each finding is."""
        return dict(zip(self.labels, self.y.sum(0).tolist(), strict=True))

    def _numbered(self, labels: tuple[str, ...]) -> Tensor:
        y = self.y.new_zeros(len(self), len(labels))
        y[:, [labels.index(label) for label in self.labels]] = self.y
        return y

    def task(self) -> Task:
        """Each finding there or not."""
        return MultiLabel(len(self.labels))
