"""Masks: outlines in the report; answers as a folder of masks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medshot.app.kinds.kind import Kind
from medshot.app.mask_answers import MaskAnswers
from medshot.core.atomic import new_folder
from medshot.core.learner import Learner
from medshot.core.predictor import Card
from medshot.data.dataset import Dataset
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.summarise_masks import mask_examples, support_of_masks
from medshot.learners.registry import build
from medshot.learners.to_grid import on_grid
from medshot.nn.encoder import encoder
from medshot.phantoms import PhantomMasks, PhantomVolumes
from medshot.select import Between, Family, OneOf


class OfMasks(Kind):
    """A class number for every pixel."""

    name = "segmentation"
    encoder = "unet"
    out = "answers"
    folds = 2
    families = (  # a classifier of pixels, and a U-Net that is trained from scratch
        Family("linear-probe", "filters", {"c": Between(0.1, 1000.0, (100.0,))}, simple=True),
        Family(
            "finetune",
            "unet",
            {
                "encoder.width": OneOf((8, 4, 16)),
                "encoder.depth": OneOf((3, 2, 4)),
                "lr": Between(0.001, 0.03, starts=(0.01,)),
                "steps": Between(50, 400, starts=(100,)),
                "batch": 8,
            },
            simple=True,
        ),
        Family("nearest-centroid", "filters"),
        Family("ridge", "filters", {"penalty": Between(1e-4, 100.0, starts=(0.1,))}),
    )

    def baseline(self, **form: Any) -> Learner:
        """A linear probe on filters around each pixel."""
        return build("linear-probe", encoder=encoder("filters", **form))

    def from_run(self, learner: Learner) -> Learner:
        """What has learnt from labels of whole images is laid on the grid."""
        return learner if getattr(learner.encoder, "keeps_grid", True) else on_grid(learner)

    def phantoms(
        self, way: int, shot: int, query: int, *, channels: int, size: int | None, seed: int
    ) -> PhantomMasks:
        """Scenes with their masks: volumes for an encoder that takes any size."""
        del way
        if size is None:
            return PhantomVolumes(shot, query, seed=seed)
        return PhantomMasks(shot, query, size, channels, seed=seed)

    def support(self, dataset: Dataset) -> r.Support:
        """The first images with what is marked on them."""
        return support_of_masks(dataset)

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Images with outlines, the worst first."""
        form = dataset.preprocessing
        flat = form.dims == 2
        answered = dataset.at(form.channels, found.y.shape[-1]) if flat else dataset
        return {
            "masks": mask_examples(answered, found),
            "examples_note": f"{unseen} The worst come first, then some others: look at the table "
            "for how well it does in all. Class numbers have colours: 1 orange, 2 blue, 3 green.",
        }

    @contextmanager
    def answers(self, out: Path, card: Card) -> Iterator[MaskAnswers]:
        """A PNG an image, and a table beside them."""
        with new_folder(out) as staging:
            found = MaskAnswers(staging, card.labels)
            yield found
            found.close()
