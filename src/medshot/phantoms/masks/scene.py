"""Phantom images with all that is known of them, and the camera: blur, resolution, noise."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt8
from numpy import ndarray

from medshot.core import ConfigError
from medshot.phantoms.fields import Purpose, stream
from medshot.phantoms.masks.canvas import Canvas, marked_things, tight_boxes
from medshot.phantoms.masks.families import FAMILIES, KINDS, Family
from medshot.phantoms.masks.families.base import between
from medshot.phantoms.masks.looks import Looks, draw_looks, draw_style

NOISES = ("even", "photons", "speckle", "rician")


@dataclass(frozen=True)
class Camera:
    """One task's camera. `blur` is a std in 1/128 of a side, `keep` the fraction of pixels kept."""

    blur: float
    keep: float
    noise: str
    level: float
    smooth: bool  # correlated noise, as in resampled or compressed images

    def record(
        self, clean: Float32[ndarray, "c *s"], rng: np.random.Generator
    ) -> Float32[ndarray, "c *s"]:
        """Blur, downsample and add new noise; not yet clipped."""
        picture = self._blurred(clean)
        level = np.float32(self.level * rng.uniform(0.7, 1.3))
        grain = self._grain(rng, clean.shape)
        if self.noise == "speckle":
            return picture * (1.0 + 2.5 * level * grain)
        if self.noise == "photons":
            return picture + 1.5 * level * np.sqrt(np.clip(picture, 0.02, None)) * grain
        if self.noise == "rician":
            return np.hypot(picture + level * grain, level * self._grain(rng, clean.shape))
        return picture + level * grain

    def _blurred(self, picture: Float32[ndarray, "c *s"]) -> Float32[ndarray, "c *s"]:
        for size in picture.shape[1:]:  # each iteration moves the first spatial axis to the end
            picture = np.tensordot(picture, response(size, self.blur, self.keep), axes=(1, 1))
        return picture

    def _grain(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Float32[ndarray, "c *s"]:
        grain = rng.standard_normal(shape, dtype=np.float32)
        if not self.smooth:
            return grain
        grain = self._blurred(grain)
        return grain / (grain.std() + 1e-6)


def draw_camera(rng: np.random.Generator) -> Camera:
    """A random camera: mostly sharp, rarely very noisy."""
    return Camera(
        blur=float(rng.uniform(0.3, 1.3)),
        keep=1.0 if rng.random() < 0.6 else float(rng.uniform(0.4, 0.9)),
        noise=str(rng.choice(NOISES)),
        level=between(rng, 0.006, 0.08),
        smooth=bool(rng.random() < 0.4),
    )


@lru_cache(maxsize=64)
def response(size: int, blur: float, keep: float) -> Float32[ndarray, "s s"]:
    """Matrix that blurs a line of `size` pixels, downsamples it to `keep`, and upsamples it."""
    at = np.arange(size)
    sigma = max(blur * size / 128, 1e-3)
    blurred = _rows(np.exp(-0.5 * ((at[:, None] - at[None]) / sigma) ** 2))
    if keep == 1.0:
        return blurred.astype(np.float32)
    few = max(2, round(keep * size))
    step = size / few
    middles = (np.arange(few) + 0.5) * step - 0.5
    thin = _rows(np.clip(0.5 * step + 0.5 - np.abs(middles[:, None] - at[None]), 0.0, 1.0))
    fill = _rows(np.clip(1.0 - np.abs(at[:, None] - middles[None]) / step, 0.0, None))
    return (fill @ thin @ blurred).astype(np.float32)


def _rows(weights: ndarray) -> ndarray:
    return weights / weights.sum(1, keepdims=True)


MOST_CLASSES = 3
ODDS = (0.7, 0.22, 0.08)  # probability of one, two or three classes, without background


@dataclass(frozen=True, eq=False)
class Plan:
    """Properties shared by all images of a task. `label` maps tissues to classes."""

    seed: int
    name: str
    family: Family
    style: str
    looks: Looks
    camera: Camera
    label: UInt8[ndarray, "t"]
    labels: tuple[str, ...]


@lru_cache(maxsize=64)
def draw_plan(seed: int, classes: int | None, name: str | None, grey: bool) -> Plan:
    """Plan of a task, in color or in `grey`; what is None is drawn from the seed."""
    rng = stream(Purpose.SCENE, seed)
    # always draw both, so that fixing one does not change the other
    drawn = str(rng.choice(FAMILIES)), 1 + int(rng.choice(MOST_CLASSES, p=ODDS))
    name, classes = name or drawn[0], classes or drawn[1]
    rng = stream(Purpose.SCENE, seed, FAMILIES.index(name), classes)
    family = KINDS[name](rng, classes)
    marked = family.mark(rng, classes)
    label = np.zeros(len(family.tissues), np.uint8)
    for number, tissues in enumerate(marked, 1):
        label[list(tissues)] = number
    names = [", ".join(family.tissues[t].name for t in tissues) for tissues in marked]
    rng = stream(Purpose.LIGHT, seed)
    style = "grey" if grey else draw_style(rng, family)
    looks = draw_looks(rng, family, style)
    camera = draw_camera(stream(Purpose.CAMERA, seed))
    return Plan(seed, name, family, style, looks, camera, label, ("background", *names))


LEAST = 4  # minimal number of pixels of every class, including background
TRIES = 100


@dataclass(frozen=True, eq=False)
class Scenes:
    """Recorded images, and `clean`: the images before blur, downsampling and noise.

    `things` is the instance map, 0 for background. An instance is a cell or an organ, or all
    vessels of one type, or all walls.
    """

    pixels: UInt8[ndarray, "n c *s"]
    clean: UInt8[ndarray, "n c *s"]
    masks: UInt8[ndarray, "n *s"]
    things: Int32[ndarray, "n *s"]
    patients: Int64[ndarray, "n"]

    @cached_property
    def boxes(self) -> list[Int64[ndarray, "m v"]]:
        """One row per instance: xmin, ymin, xmax, ymax, label; right and bottom exclusive.

        Boxes are tight, in pixels; an instance of fewer than 4 pixels has none. In volumes: xmin,
        ymin, zmin, xmax, ymax, zmax, label.
        """
        return [tight_boxes(*pair, LEAST) for pair in zip(self.things, self.masks, strict=True)]


def draw_scenes(
    plan: Plan, places: Iterable[tuple[int, int]], shape: tuple[int, ...], channels: int
) -> Scenes:
    """Images with these (index, patient) pairs, on a grid of `shape`."""
    places = list(places)
    pixels, clean, masks, things = [], [], [], []
    for i, patient in places:
        canvas = draw_layout(plan, i, shape)
        light = stream(Purpose.SCANNER, plan.seed, patient), stream(Purpose.GRAIN, plan.seed, i)
        picture = plan.looks.paint(canvas, *light)
        recorded = plan.camera.record(picture, stream(Purpose.NOISE, plan.seed, i))
        for found, part in ((pixels, recorded), (clean, picture)):
            found.append(np.broadcast_to(_bytes(part), (channels, *shape)))
        masks.append(plan.label[canvas.tissue])
        things.append(marked_things(canvas, plan.label))
    numbers = np.array([patient for _, patient in places], np.int64)
    drawn = (np.stack(part) for part in (pixels, clean, masks, things))
    return Scenes(*drawn, patients=numbers)


def draw_layout(plan: Plan, i: int, shape: tuple[int, ...]) -> Canvas:
    """Layout of image `i`: the first draw in which every class is visible.

    Raises:
        ConfigError: the classes do not fit into `shape`.
    """
    for attempt in range(TRIES):
        canvas = Canvas(shape)
        plan.family.draw(canvas, stream(Purpose.LAYOUT, plan.seed, i, attempt))
        tissues = np.bincount(canvas.tissue.ravel(), minlength=len(plan.label))
        seen = np.bincount(plan.label, weights=tissues, minlength=len(plan.labels))
        if seen.min() >= LEAST:
            return canvas
    raise ConfigError(
        f"The classes {', '.join(plan.labels)} of phantom {plan.seed} do not fit into "
        f"{' x '.join(map(str, shape))} pixels. Use more pixels."
    )


def _bytes(picture: ndarray) -> UInt8[ndarray, "c *s"]:
    return np.clip(picture * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
