"""Endless episodes of labeled phantoms, each a new task."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from medshot.core.episode import Episode, Examples
from medshot.core.errors import unknown
from medshot.data.dataset import Dataset
from medshot.data.transforms import ImagePreprocessing, unit
from medshot.phantoms.labels.findings import FINDINGS
from medshot.phantoms.labels.modalities import MODALITIES
from medshot.phantoms.labels.task import PhantomTask
from medshot.tasks import Classification

KINDS = [(finding, modality) for finding in FINDINGS for modality in MODALITIES]
PARTS = ("train", "unseen")

Pictures = tuple[np.ndarray, np.ndarray, np.ndarray]


def kinds(part: str) -> list[tuple[str, str]]:
    """Pairs of finding and modality for training, or the third held out as unseen.

    Raises:
        ConfigError: an unknown part.
    """
    if part not in PARTS:
        raise unknown(part, PARTS, kind="part of the phantoms")
    unseen = [
        (finding, modality)
        for i, finding in enumerate(FINDINGS)
        for j, modality in enumerate(MODALITIES)
        if (i + j) % 3 == 0
    ]
    return unseen if part == "unseen" else [kind for kind in KINDS if kind not in unseen]


@dataclass(frozen=True)
class PhantomEpisodes:
    """Episode i is a new task of `way` classes from `part`; one image per patient."""

    way: int = 4
    shot: int = 5
    query: int = 5
    size: int = 64
    part: str = "train"
    seed: int = 0

    def episode(self, i: int) -> Episode:
        """Episode `i`: drawn, rendered, and split into support and query."""
        return self.cut(self.pictures(i))

    def pictures(self, i: int) -> Pictures:
        """The 8-bit images of episode `i`, their classes and patients: the slow part."""
        return self.task(i).images(self.shot + self.query, images_per_patient=1)

    def cut(self, drawn: Pictures) -> Episode:
        """Episode from rendered images."""
        x, y, patients = drawn
        pixels, labels, groups = (torch.from_numpy(part) for part in (x, y, patients))
        examples = Examples(unit(pixels), labels, groups)
        cut = self.way * self.shot
        return Episode(Classification(self.way), examples[:cut], examples[cut:])

    def task(self, i: int) -> PhantomTask:
        """Task of episode `i`."""
        rng = np.random.default_rng([self.seed, i])
        finding, modality = kinds(self.part)[rng.integers(len(kinds(self.part)))]
        seed = int(rng.integers(2**31))
        return PhantomTask(seed, self.way, self.size, finding, modality)

    def describe(self) -> dict[str, Any]:
        """Everything that determines the episodes."""
        return {"data": "phantoms", **vars(self)}

    def fingerprint(self, episodes: int) -> str:
        """Hash of what determines the first `episodes` episodes."""
        text = json.dumps([self.describe(), episodes], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def phantom_dataset(task: PhantomTask, count: int, images_per_patient: int = 2) -> Dataset:
    """`count` images per class of one task, as a data set with patients."""
    x, y, patients = task.images(count, images_per_patient)
    return Dataset(
        name=f"phantoms-{task.seed}",
        x=torch.from_numpy(x),
        y=torch.from_numpy(y),
        labels=task.names,
        groups=torch.from_numpy(patients),
        preprocessing=ImagePreprocessing(channels=3, size=task.size),
        hash=hashlib.sha256(x.tobytes()).hexdigest()[:16],
        licence="made by this program, free of rights",
    )
