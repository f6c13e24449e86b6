"""What happens to images without anybody's intent: noise, blur, light, files. Five severities.

Source: the families (digital, noise, blur, colour, task-specific) and the idea are those of
Di Salvo, Doerrich & Ledig 2024, arXiv:2406.17536 (MedMNIST-C), after Hendrycks & Dietterich 2019,
arXiv:1903.12261. Where we differ: kinds and strengths are our own, the same for every set, so
numbers here cannot be compared with theirs. Those of `medshot.data.corruptions` are among them.
"""

import zlib
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from medshot.core.errors import ConfigError, unknown
from medshot.data.corruptions import artifacts, degraded, noise, resolution

SEVERITIES = (1, 2, 3, 4, 5)
Corruption = Callable[[Float[ndarray, "d h w"], float, np.random.Generator], ndarray]


def _known(kind: str) -> Corruption:
    """One of `medshot.data.corruptions`."""
    return lambda image, strength, rng: degraded(image, kind, strength, rng)


FAMILIES: Mapping[str, Mapping[str, Corruption]] = {
    "digital": {"fewer pixels": _known("coarse"), "jpeg": _known("jpeg")},
    "noise": {
        "gaussian noise": _known("gaussian"),
        "shot noise": _known("poisson"),
        "speckle": _known("speckle"),
        "impulses": noise.impulses,
    },
    "blur": {"gaussian blur": _known("blur"), "motion blur": resolution.motion},
    "light": {
        "brighter": partial(artifacts.brighter, sign=1),
        "darker": partial(artifacts.brighter, sign=-1),
        "more contrast": partial(artifacts.contrast, sign=1),
        "less contrast": partial(artifacts.contrast, sign=-1),
        "colour cast": artifacts.cast,
    },
    "modality": {
        "stripes": _known("stripes"),
        "ghost": _known("ghost"),
        "shading": artifacts.shading,
        "rician noise": _known("rician"),
    },
}
CORRUPTIONS = {name: kind for family in FAMILIES.values() for name, kind in family.items()}


def corrupted(
    x: Float[Tensor, "n c h w"], kind: str, severity: int, seed: int = 0
) -> Float[Tensor, "n c h w"]:
    """Images in [0, 1] with one thing wrong with them, in severity 1 to 5.

    The same images, seed and kind give the same, whatever else is corrupted before.

    Raises:
        ConfigError: an unknown kind, or a severity that is none of 1 to 5.
    """
    if kind not in CORRUPTIONS:
        raise unknown(kind, CORRUPTIONS, kind="corruption")
    if severity not in SEVERITIES:
        raise ConfigError(f"A severity is 1, 2, 3, 4 or 5, not {severity}.")
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), severity])
    images = x.detach().cpu().double().numpy()
    made = [CORRUPTIONS[kind](image, severity / SEVERITIES[-1], rng) for image in images]
    return torch.from_numpy(np.stack(made).clip(0, 1)).to(x)
