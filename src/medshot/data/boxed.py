"""Images with boxes in memory: corners in shares of the image, and a class."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core.episode import Examples
from medshot.core.errors import DataError
from medshot.core.task import Task
from medshot.data.dataset import Dataset
from medshot.tasks import Detection
from medshot.tasks.boxes import NO_BOX


@dataclass(frozen=True, eq=False)
class Boxed(Dataset):
    """Images and the boxes on each, as `medshot.tasks.boxes` has them: right for every form."""

    y: Float[Tensor, "n m 5"]
    by_class = False

    def counts(self) -> dict[str, int]:
        """On how many images each class has a box."""
        return dict(zip(self.labels, self.shows().sum(0).tolist(), strict=True))

    def examples(self, index: Tensor | slice = slice(None)) -> Examples:
        """The images at `index` in [0, 1], with their boxes and patients."""
        found = super().examples(index)
        return replace(found, y=found.y.to(found.x.device))

    def only(self, classes: Sequence[int]) -> "Boxed":
        """Refused: what is left of an image without some of its classes?"""
        raise DataError(f"{self.name} has boxes: it can be split by patient, not by class.")

    def _numbered(self, labels: tuple[str, ...]) -> Tensor:
        new = torch.tensor([*(float(labels.index(label)) for label in self.labels), NO_BOX])
        return torch.cat([self.y[..., :4], new[self.y[..., 4:].long()]], -1)  # the last one is -1

    def task(self) -> Task:
        """Detection of as many classes."""
        return Detection.of(len(self.labels))
