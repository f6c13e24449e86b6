"""Classification: confusion matrix, reliability diagram, examples, CSV of predictions."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from medshot.core import Card, ConfigError, Learner
from medshot.data.dataset import Dataset
from medshot.data.layouts.recognize import survey
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.report.build import (
    confusion_of,
    examples_of,
    reliability_of,
    support_of,
    support_showing,
)
from medshot.factory import WAYS
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.phantoms import PhantomEpisodes
from medshot.presenters.base import Kind
from medshot.presenters.tables import AnswerTable, LabelTable, written
from medshot.selection import Auto, Categorical, FloatRange, LearnerFamily

BAR = {"encoder.size": 224, "encoder.depths": [], "c": 100.0}  # ImageNet linear probe
CONV4 = {
    "encoder.size": Categorical((64, 32)),
    "encoder.width": Categorical((32, 16, 64)),
    "encoder.halve": "stride",
}
PIXELS = {"encoder.size": Categorical((64, 32)), "encoder.reduce": Categorical((2, 1, 4, 8))}
DEPTHS = {"encoder.size": Categorical((128, 224))}
# Balanced accuracy minus that of the stacked probe: mean and standard deviation over data sets. The
# ImageNet probe is from experiments/stacked_probe.py, raw pixels from `auto` of
# experiments/selecting.py.
PRIOR = {
    "stacked-probe on mobilenet": (0.0, 0.0),
    "linear-probe on mobilenet": (-0.02, 0.03),
    "linear-probe on pixels": (-0.12, 0.09),
}
HEADS = {
    "linear-probe": {"c": FloatRange(0.1, 1000.0, starts=(100.0,))},
    "lda": {"shrinkage": Categorical((None, 0.1, 0.3, 0.9))},
    "nearest-centroid": {},
}
OTHERS = {
    "ridge": {"penalty": FloatRange(1e-4, 100.0, starts=(0.1,))},
    "svm": {"c": FloatRange(0.001, 10.0, starts=(0.1,))},
    "simpleshot": {},
    "baseline++": {"steps": FloatRange(30, 300, starts=(100,))},
}
DESCENT = {
    "lr": FloatRange(1e-4, 0.1, starts=(0.003,)),
    "steps": FloatRange(20, 200, starts=(50,)),
    "batch": Categorical((16, None)),
}
UNEQUAL = 3  # ratio of largest to smallest class from which a report warns


class OfLabels(Kind):
    """One label an image."""

    name = "classification"
    encoder = "mobilenet"
    ways = True
    prior = PRIOR
    families = (
        LearnerFamily("stacked-probe", "mobilenet", simple=True),
        LearnerFamily("linear-probe", "mobilenet", BAR, simple=True),
        LearnerFamily("linear-probe", "pixels", PIXELS | HEADS["linear-probe"], simple=True),
        *(LearnerFamily(head, "mobilenet", DEPTHS | own) for head, own in OTHERS.items()),
        *(
            LearnerFamily(head, "mobilenet", DEPTHS | HEADS[head])
            for head in ("lda", "nearest-centroid")
        ),
        *(LearnerFamily(head, "conv4", CONV4 | own) for head, own in HEADS.items()),
        *(
            LearnerFamily(head, "pixels", PIXELS | HEADS[head])
            for head in ("lda", "nearest-centroid")
        ),
        *(LearnerFamily(head, "conv4", CONV4 | own) for head, own in OTHERS.items()),
        *(LearnerFamily(head, "pixels", PIXELS | own) for head, own in OTHERS.items()),
        LearnerFamily("finetune", "conv4", CONV4 | DESCENT),
        LearnerFamily("linear-probe", "conv4", CONV4 | HEADS["linear-probe"] | WAYS),
    )

    def baseline(self, **form: Any) -> Learner:
        """A linear probe on raw pixels."""
        return build("linear-probe", encoder=encoder("pixels", **form))

    def baselines(self, **form: Any) -> list[Learner]:
        """Linear probe on ImageNet features, linear probe on raw pixels, mean color."""
        channels = {"channels": form.get("channels") or 3}
        bar = encoder("mobilenet", size=224, depths=(), **channels)
        pixels = encoder("pixels", size=64, reduce=2, **channels)
        color = encoder("pixels", size=64, reduce=64, scaling="unit", **channels)
        return [
            build("linear-probe", encoder=bar),
            build("linear-probe", encoder=pixels),
            build("ridge", encoder=color, penalty=0.001),
        ]

    def listed(self, folder: Path) -> str:
        """Number of images of each class."""
        counts = Counter(row.label for row in survey(folder)[0])
        said = ", ".join(f"{label} {count}" for label, count in sorted(counts.items())[:12])
        n = f"{counts.total()} images, {len(counts)} classes" if counts else ""
        return n and f"{n} ({said}{', ...' if len(counts) > 12 else ''})"

    def phantoms(
        self, way: int, shot: int, query: int, *, channels: int, size: int | None, seed: int
    ) -> PhantomEpisodes:
        """Synthetic classification episodes; raises `ConfigError` for channels they lack."""
        if channels != 3 or size is None:
            raise ConfigError(
                "Phantoms with labels are flat and have 3 channels, and this encoder takes other "
                "images: leave out --set encoder.channels; for masks say --task segmentation."
            )
        return PhantomEpisodes(way, shot, query, size, seed=seed)

    def support(self, dataset: Dataset) -> r.Support:
        """The first images of each class."""
        return support_of(dataset)

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Confusion matrix, reliability diagram, and examples, half of them wrong."""
        return {
            "confusion": confusion_of(dataset.labels, found.decoded, found.y),
            "reliability": reliability_of(found.decoded, found.y),
            "examples": examples_of(dataset, found.decoded),
            "examples_note": f"{unseen} Half of those shown are wrong ones where there are as "
            "many: look at the table for how often that happens.",
        }

    def answers(self, out: Path, card: Card) -> AbstractContextManager[AnswerTable]:
        """CSV with a probability for each class."""
        return written(out, LabelTable(card.labels))

    def warnings(self, dataset: Dataset) -> Sequence[str]:
        """Warn of class imbalance, which inflates accuracy."""
        counts = dataset.counts().values()
        if max(counts) <= UNEQUAL * min(counts):
            return ()
        return ("The classes are very unequal: look at balanced accuracy, not at accuracy.",)


class OfSeveral(OfLabels):
    """One label an example."""

    name = "classification-multimodal"
    encoder = "joined"

    def candidates(self, *, slow: bool = False) -> Auto:
        """Three heads on untrained encoders, one for each modality, with late fusion."""
        joined = encoder("joined")
        return Auto([build(head, encoder=joined) for head in HEADS]).eval()

    def baseline(self, **form: Any) -> Learner:
        """A linear probe on the same encoders."""
        del form  # rows have a fixed form
        return build("linear-probe", encoder=encoder("joined"))

    def baselines(self, **form: Any) -> list[Learner]:
        """That one only: there may be no images."""
        return [self.baseline(**form)]

    def support(self, dataset: Dataset) -> r.Support:
        """Counts only."""
        return support_showing(dataset, ())

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Confusion matrix and reliability diagram."""
        del unseen
        return {
            "confusion": confusion_of(dataset.labels, found.decoded, found.y),
            "reliability": reliability_of(found.decoded, found.y),
        }
