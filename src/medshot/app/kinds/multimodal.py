"""Labels of examples of several kinds of data: as labels of images, with no pictures to show."""

from typing import Any

from medshot.app.kinds.classification import HEADS, OfLabels
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.report.build import confusion_of, reliability_of, support_showing
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.select import Auto


class OfSeveral(OfLabels):
    """One label an example."""

    name = "classification-multimodal"
    encoder = "joined"

    def candidates(self) -> Auto:
        """Three heads on untrained encoders, one a kind of data, joined late."""
        joined = encoder("joined")
        return Auto([build(head, encoder=joined) for head in HEADS]).eval()

    def baseline(self, **form: Any) -> Learner:
        """A linear probe on the same."""
        del form  # there is one
        return build("linear-probe", encoder=encoder("joined"))

    def baselines(self, **form: Any) -> list[Learner]:
        """The same alone: there need not be images."""
        return [self.baseline(**form)]

    def support(self, dataset: Dataset) -> r.Support:
        """How much there is."""
        return support_showing(dataset, ())

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Confusion and reliability."""
        del unseen
        return {
            "confusion": confusion_of(dataset.labels, found.decoded, found.y),
            "reliability": reliability_of(found.decoded, found.y),
        }
