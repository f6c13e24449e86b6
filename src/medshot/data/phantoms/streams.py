"""Independent random streams, addressed by integers, so that nothing depends on drawing order."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for; the numbers are part of every image, so they never change."""

    TASK = 1
    CLASSES = 2
    ANATOMY = 3
    FINDING = 4
    SCANNER = 5
    MOTION = 6
    NOISE = 7
    SCENE = 8
    LAYOUT = 9
    LIGHT = 10
    GRAIN = 11
    CAMERA = 12


def stream(purpose: Purpose, *address: int) -> np.random.Generator:
    """Return the generator that belongs to this purpose and address, the same on every machine."""
    return np.random.default_rng([int(purpose), *address])
