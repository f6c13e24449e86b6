"""What a task fixes (family, looks, camera, what is marked), and one image under it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from medshot.core.errors import ConfigError
from medshot.data.phantoms.scenes.camera import Camera, draw_camera
from medshot.data.phantoms.scenes.canvas import Canvas
from medshot.data.phantoms.scenes.cells import Cells
from medshot.data.phantoms.scenes.family import Family
from medshot.data.phantoms.scenes.lesions import Lesions
from medshot.data.phantoms.scenes.looks import Looks, draw_looks
from medshot.data.phantoms.scenes.membranes import Membranes
from medshot.data.phantoms.scenes.organs import Organs
from medshot.data.phantoms.scenes.regions import Regions
from medshot.data.phantoms.scenes.smears import Smears
from medshot.data.phantoms.scenes.vessels import Vessels
from medshot.data.phantoms.streams import Purpose, stream

KINDS: dict[str, type[Family]] = {
    "cells": Cells,
    "lesions": Lesions,
    "membranes": Membranes,
    "organs": Organs,
    "regions": Regions,
    "smears": Smears,
    "vessels": Vessels,
}
FAMILIES = tuple(KINDS)
MOST_CLASSES = 3
ODDS = (0.7, 0.22, 0.08)  # of one class, two or three, background not counted
LEAST = 4  # pixels of every class, background too
TRIES = 100


@dataclass(frozen=True, eq=False)
class Plan:
    """All that is the same in every image of a task. `label` has the class of each tissue."""

    seed: int
    name: str
    family: Family
    style: str
    looks: Looks
    camera: Camera
    label: UInt8[ndarray, "t"]
    labels: tuple[str, ...]


class Scene(NamedTuple):
    """One image: 8-bit pixels as recorded and before blur and noise, and where things lie."""

    pixels: UInt8[ndarray, "c *s"]
    clean: UInt8[ndarray, "c *s"]
    mask: UInt8[ndarray, "*s"]
    canvas: Canvas


@lru_cache(maxsize=64)
def draw_plan(seed: int, classes: int | None, name: str | None) -> Plan:
    """The plan of a task; what is None is drawn from the seed."""
    rng = stream(Purpose.SCENE, seed)
    # Both are always drawn, so that naming one does not change the other.
    drawn = str(rng.choice(FAMILIES)), 1 + int(rng.choice(MOST_CLASSES, p=ODDS))
    name, classes = name or drawn[0], classes or drawn[1]
    rng = stream(Purpose.SCENE, seed, FAMILIES.index(name), classes)
    family = KINDS[name](rng, classes)
    marked = family.mark(rng, classes)
    label = np.zeros(len(family.tissues), np.uint8)
    for number, tissues in enumerate(marked, 1):
        label[list(tissues)] = number
    said = [", ".join(family.tissues[t].name for t in tissues) for tissues in marked]
    style, looks = draw_looks(stream(Purpose.LIGHT, seed), family)
    camera = draw_camera(stream(Purpose.CAMERA, seed))
    return Plan(seed, name, family, style, looks, camera, label, ("background", *said))


def draw_scene(plan: Plan, i: int, patient: int, shape: tuple[int, ...]) -> Scene:
    """Image `i` of a task, of a patient, on such a grid."""
    canvas = _layout(plan, i, shape)
    light = stream(Purpose.LIGHT, plan.seed, 1, patient), stream(Purpose.GRAIN, plan.seed, i)
    clean = plan.looks.paint(canvas, *light)
    recorded = plan.camera.record(clean, stream(Purpose.CAMERA, plan.seed, i))
    return Scene(_bytes(recorded), _bytes(clean), plan.label[canvas.tissue], canvas)


def _layout(plan: Plan, i: int, shape: tuple[int, ...]) -> Canvas:
    """The first of several draws on which every class is seen."""
    for attempt in range(TRIES):
        canvas = Canvas(shape)
        plan.family.draw(canvas, stream(Purpose.LAYOUT, plan.seed, i, attempt))
        tissues = np.bincount(canvas.tissue.ravel(), minlength=len(plan.label))
        seen = np.bincount(plan.label, weights=tissues, minlength=len(plan.labels))
        if seen.min() >= LEAST:
            return canvas
    raise ConfigError(
        f"The classes {', '.join(plan.labels)} of phantom {plan.seed} do not fit into "
        f"{' x '.join(map(str, shape))} pixels. Ask for more pixels."
    )


def _bytes(picture: ndarray) -> UInt8[ndarray, "c *s"]:
    return np.clip(picture * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
