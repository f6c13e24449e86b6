"""What a class looks like: the finding that sets the classes of a task apart."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medshot.data.phantoms.fields import Map
from medshot.data.phantoms.findings import lesion, shape, texture
from medshot.data.phantoms.findings.looks import (
    Axes,
    Level,
    Look,
    draw_looks,
    most_classes,
    short_names,
)


@dataclass(frozen=True)
class Finding:
    """A kind of finding: the attributes its classes differ in, and how to draw one."""

    axes: Axes
    draw: Callable[[Look, np.random.Generator, int], Map]


KINDS = {
    "lesion": Finding(lesion.AXES, lesion.draw),
    "texture": Finding(texture.AXES, texture.draw),
    "shape": Finding(shape.AXES, shape.draw),
}
FINDINGS: tuple[str, ...] = tuple(KINDS)

__all__ = [
    "FINDINGS",
    "KINDS",
    "Axes",
    "Finding",
    "Level",
    "Look",
    "draw_looks",
    "most_classes",
    "short_names",
]
