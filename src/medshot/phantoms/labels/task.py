"""Phantom classification tasks: classes, patients and images from a seed, and endless episodes.

Images of one patient differ by a small motion and new noise.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import ndimage

from medshot.core import ConfigError, Episode, Examples, unknown
from medshot.data.dataset import Dataset
from medshot.data.transforms import ImagePreprocessing, unit
from medshot.phantoms.fields import Map, Purpose, stream
from medshot.phantoms.labels.findings import (
    FINDINGS,
    Appearance,
    draw_appearances,
    most_classes,
    short_names,
)
from medshot.phantoms.labels.findings import KINDS as FINDING_KINDS
from medshot.phantoms.labels.modalities import KINDS as MODALITY_KINDS
from medshot.phantoms.labels.modalities import MODALITIES, to_pixels
from medshot.tasks import Classification


def move(tissue: Map, rng: np.random.Generator) -> Map:
    """Rotate the tissue by about 2 degrees and shift it by about 1.5% of the side."""
    size = tissue.shape[-1]
    angle = float(rng.normal(0.0, 0.035))
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    matrix = np.array([[cos, -sin], [sin, cos]])
    middle = np.full(2, 0.5 * (size - 1))
    offset = middle - matrix @ middle + rng.normal(0.0, 0.015 * size, 2)
    affine = np.column_stack([matrix, offset])
    return ndimage.affine_transform(tissue, affine, order=1, mode="nearest")


SMALLEST = 16


class _Plan(NamedTuple):
    """Properties of a task that the seed determines."""

    finding: str
    modality: str
    looks: list[Appearance]


@dataclass(frozen=True)
class PhantomTask:
    """One classification task: `way` classes of one finding in one modality.

    `size` is the side in pixels; `finding` and `modality` are drawn from the seed if None. Every
    image is a function of these fields and of (label, patient, image).

    Raises:
        ConfigError: invalid fields.
    """

    seed: int
    way: int = 4
    size: int = 64
    finding: str | None = None
    modality: str | None = None

    def __post_init__(self) -> None:
        """Validate the fields."""
        _known("finding", self.finding, FINDINGS)
        _known("modality", self.modality, MODALITIES)
        at_least("seed", self.seed, 0)
        at_least("size", self.size, SMALLEST)
        at_least("way", self.way, 2)
        most = most_classes(FINDING_KINDS[self._plan.finding].axes)
        if self.way > most:
            kind = self._plan.finding
            raise ConfigError(f"way is {self.way}, but '{kind}' has only {most} different classes")

    @cached_property
    def _plan(self) -> _Plan:
        rng = stream(Purpose.TASK, self.seed)
        # always draw both, so that fixing one does not change the other
        finding, modality = str(rng.choice(FINDINGS)), str(rng.choice(MODALITIES))
        finding, modality = self.finding or finding, self.modality or modality
        rng = stream(Purpose.CLASSES, self.seed, FINDINGS.index(finding))
        looks = draw_appearances(FINDING_KINDS[finding].axes, self.way, rng)
        return _Plan(finding, modality, looks)

    @property
    def names(self) -> tuple[str, ...]:
        """Short readable class names, unique within the task, such as "spiculated dense"."""
        return short_names(self._plan.looks)

    def render(self, label: int, patient: int, image: int = 0) -> np.ndarray:
        """Render one image, uint8 (3, size, size); gray modalities repeat the channel."""
        if not 0 <= label < self.way:
            raise ConfigError(f"label is {label}, but the labels are 0 to {self.way - 1}")
        at_least("patient", patient, 0)
        at_least("image", image, 0)
        return self._picture(self._tissue(label, patient), patient, image)

    def images(
        self, count: int, images_per_patient: int = 2
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Render `count` images per class, as (x, y, patient).

        x is uint8 (way * count, 3, size, size), y and patient are int64. Rows cycle through the
        classes (0, 1, 2, ..., 0, 1, 2, ...), so that fewer images are a prefix of more. Classes
        share no patient; each patient has up to `images_per_patient` images.
        """
        at_least("count", count, 1)
        at_least("images_per_patient", images_per_patient, 1)
        x = np.empty((count, self.way, 3, self.size, self.size), np.uint8)
        turn, label = np.indices((count, self.way))
        patient = turn // images_per_patient * self.way + label
        for first in range(0, count, images_per_patient):
            last = min(first + images_per_patient, count)
            for kind in range(self.way):
                person = int(patient[first, kind])
                tissue = self._tissue(kind, person)
                for row in range(first, last):
                    x[row, kind] = self._picture(tissue, person, row - first)
        flat = x.reshape(-1, 3, self.size, self.size)
        return flat, label.reshape(-1).astype(np.int64), patient.reshape(-1).astype(np.int64)

    def _tissue(self, label: int, patient: int) -> Map:
        """One patient's anatomy with the finding, before image formation."""
        modality = MODALITY_KINDS[self._plan.modality]
        body = modality.anatomy(stream(Purpose.ANATOMY, self.seed, patient), self.size)
        rng = stream(Purpose.FINDING, self.seed, label, patient)
        strength = modality.contrast * float(rng.uniform(0.75, 1.25))
        finding = FINDING_KINDS[self._plan.finding]
        change = finding.draw(self._plan.looks[label], rng, self.size)
        return body.tissue + strength * body.site * change

    def _picture(self, tissue: Map, patient: int, image: int) -> np.ndarray:
        """One image of the patient: moved slightly, same scanner, new noise."""
        moved = move(tissue, stream(Purpose.MOTION, self.seed, patient, image))
        scanner = stream(Purpose.SCANNER, self.seed, patient)
        noise = stream(Purpose.NOISE, self.seed, patient, image)
        return to_pixels(MODALITY_KINDS[self._plan.modality].acquire(moved, scanner, noise))


def _known(what: str, name: str | None, known: tuple[str, ...]) -> None:
    if name is not None and name not in known:
        raise unknown(name, known, kind=what)


def at_least(what: str, value: int, least: int) -> None:
    """Raise `ConfigError` unless `value` is an integer of at least `least`."""
    if not isinstance(value, int | np.integer) or value < least:
        raise ConfigError(f"{what} is {value!r}, but must be a whole number of {least} or more")


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
