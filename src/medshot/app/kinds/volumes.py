"""Masks of volumes: as masks of images, with networks in three dimensions."""

from typing import Any

from medshot.app.kinds.segmentation import OfMasks
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import OutOfFold
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.select import Between, Family


class OfVolumes(OfMasks):
    """A class number for every voxel."""

    name = "segmentation-3d"
    encoder = "unet3d"
    families = (  # a classifier of voxels, and a U-Net that is trained from scratch
        Family("linear-probe", "filters3d", {"c": Between(0.1, 1000.0, (100.0,))}, simple=True),
        Family(
            "finetune",
            "unet3d",
            {
                "lr": Between(0.001, 0.03, starts=(0.01,)),
                "steps": Between(50, 400, starts=(100,)),
                "batch": 2,
            },
            simple=True,
        ),
    )

    def from_run(self, learner: Learner) -> Learner:
        """As it is: features of flat images lie on no grid of volumes."""
        return learner

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """As for images; of each volume one slice."""
        fields = super().shown(dataset, found, unseen)
        note = f"{fields['examples_note']} Of a volume, the slice is shown on which most is marked."
        return fields | {"examples_note": note}

    def baseline(self, **form: Any) -> Learner:
        """A linear probe on filters around each voxel."""
        del form  # volumes keep theirs
        return build("linear-probe", encoder=encoder("filters3d"))
