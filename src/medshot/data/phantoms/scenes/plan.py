"""What a task fixes: its family, its looks, its camera, and what is marked."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from medshot.data.phantoms.scenes.camera import Camera, draw_camera
from medshot.data.phantoms.scenes.families import FAMILIES, KINDS, Family
from medshot.data.phantoms.scenes.looks import Looks, draw_looks, draw_style
from medshot.data.phantoms.streams import Purpose, stream

MOST_CLASSES = 3
ODDS = (0.7, 0.22, 0.08)  # of one class, two or three, background not counted


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


@lru_cache(maxsize=64)
def draw_plan(seed: int, classes: int | None, name: str | None, grey: bool) -> Plan:
    """The plan of a task, in colour or in `grey`; what is None is drawn from the seed."""
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
    rng = stream(Purpose.LIGHT, seed)
    style = "grey" if grey else draw_style(rng, family)
    looks = draw_looks(rng, family, style)
    camera = draw_camera(stream(Purpose.CAMERA, seed))
    return Plan(seed, name, family, style, looks, camera, label, ("background", *said))
