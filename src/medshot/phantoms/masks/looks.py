"""Appearance of tissues: tone, grain and illumination, drawn once per task."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from medshot.phantoms.fields import noise
from medshot.phantoms.labels.modalities import BLOOD, EOSIN, HAEMATOXYLIN, MELANIN
from medshot.phantoms.masks.canvas import Canvas
from medshot.phantoms.masks.families.base import Family, between


def palette(rng: np.random.Generator, style: str, dark: Sequence[bool]) -> Float32[ndarray, "t c"]:
    """Tone in [0, 1] of each tissue, background first: one or three channels."""
    tones = _STYLES[style](rng, len(dark))
    tones[np.array(dark)] *= 0.05
    return tones.astype(np.float32)


def _grey(rng: np.random.Generator, count: int) -> ndarray:
    """Arbitrary gray values: MR, CT, electron microscopy, ..."""
    return rng.uniform(0.04, 0.95, (count, 1))


def _fluorescence(rng: np.random.Generator, count: int) -> ndarray:
    """Bright on a dark background, in gray or one color."""
    values = rng.uniform(0.1, 0.95, (count, 1))
    values[0] = rng.uniform(0.0, 0.12)
    if rng.random() < 0.7:
        return values
    return values * rng.uniform(0.05, 1.0, 3)


def _stain(rng: np.random.Generator, count: int) -> ndarray:
    """Two dyes on a light background, such as hematoxylin and eosin of one laboratory."""
    dyes = np.stack([HAEMATOXYLIN, EOSIN]) * rng.uniform(0.6, 1.5, (2, 3))
    if rng.random() < 0.35:
        dyes = rng.uniform(0.05, 1.1, (2, 3))
    amounts = rng.uniform(0.0, 1.6, (count, 2))
    amounts[0] *= float(rng.choice([0.1, 0.4, 1.0]))
    lamp = rng.uniform(0.8, 1.0) * np.where(rng.random(3) < 0.15, 0.75, 1.0)
    return lamp * np.exp(-amounts @ dyes)


def _photo(rng: np.random.Generator, count: int) -> ndarray:
    """Skin, mucosa or fundus: melanin and blood under a lamp, and objects of other colors."""
    tint = rng.uniform(0.75, 1.0, 3)
    melanin, blood = rng.uniform(0.05, 1.3, (2, count, 1))
    tones = rng.uniform(0.6, 1.0, (count, 1)) * tint * np.exp(-melanin * MELANIN - blood * BLOOD)
    other = rng.random(count) < 0.15
    tones[other] = rng.uniform(0.0, 0.95, (int(other.sum()), 3))
    return tones


def _any(rng: np.random.Generator, count: int) -> ndarray:
    """Arbitrary colors."""
    return rng.uniform(0.0, 1.0, (count, 3))


_STYLES = {
    "any": _any,
    "fluorescence": _fluorescence,
    "grey": _grey,
    "photo": _photo,
    "stain": _stain,
}


TRIES = 30
NEAR = 0.25  # contrast between nearly identical tissues, relative to the full one
FAINT = 0.35  # fraction of tasks with reduced contrast


@dataclass(frozen=True)
class Looks:
    """Tone and coarse and fine grain per tissue; variation between images of the task.

    Source: random contrasts instead of those of one scanner: Billot et al. 2023, SynthSeg, Med.
    Image Anal. 86, 102789, doi:10.1016/j.media.2023.102789.
    """

    tones: Float32[ndarray, "t c"]
    like: tuple[int, ...]
    coarse: Float32[ndarray, "t"]
    fine: Float32[ndarray, "t"]
    bumps: tuple[int, int]
    shading: float  # variation between objects of one tissue
    uneven: float  # illumination, coil or bias field
    exposure: float
    vary: float  # std of the tones between patients

    def paint(
        self, canvas: Canvas, patient: np.random.Generator, image: np.random.Generator
    ) -> Float32[ndarray, "c *s"]:
        """The noiseless, perfectly sharp image, in [0, 1]."""
        tones = self.tones + self.vary * patient.standard_normal(self.tones.shape)
        tones = tones[list(self.like)].astype(np.float32)
        brightest = max(0.05, float(tones.mean(1).max()))
        gain = min(float(np.exp(self.exposure * patient.standard_normal())), 1.05 / brightest)
        power = np.float32(np.exp(0.5 * self.exposure * patient.standard_normal()))
        tissue, shape = canvas.tissue, canvas.shape
        light = self.coarse[tissue] * noise(image, shape, self.bumps[0])
        light += self.fine[tissue] * noise(image, shape, self.bumps[1])
        light += self.shading * canvas.shade
        light += self.uneven * noise(image, shape, 1)
        light = np.float32(gain) * np.exp(light)
        picture = np.stack([channel[tissue] for channel in tones.T]) * light
        return np.clip(picture, 0.0, 1.0) ** power


def draw_style(rng: np.random.Generator, family: Family) -> str:
    """Name of a palette that suits the family or, rarely, arbitrary colors."""
    style = str(rng.choice(list(family.styles), p=list(family.styles.values())))
    return "any" if rng.random() < 0.08 else style


def draw_looks(rng: np.random.Generator, family: Family, style: str) -> Looks:
    """Draw the appearance of a task, with retries until tissues are distinguishable."""
    need = between(rng, 0.07, 0.4)
    like = tuple(i if t.like is None else t.like for i, t in enumerate(family.tissues))
    first, second = np.array(like)[np.array(family.apart)].T
    best, widest = np.zeros((len(like), 1), np.float32), -1.0
    for _ in range(TRIES):
        tones = palette(rng, style, [tissue.dark for tissue in family.tissues])
        gap = float(np.sqrt(((tones[first] - tones[second]) ** 2).mean(1)).min())
        if gap > widest:
            best, widest = tones, gap
        if widest >= need:
            break
    if rng.random() < FAINT:
        share = float(rng.uniform(0.35, 0.9))
        best, widest = best.mean(0) + share * (best - best.mean(0)), share * widest
    for i, tissue in enumerate(family.tissues):
        if tissue.near is not None:
            best[i] = best[tissue.near] + NEAR * (best[i] - best[tissue.near])
    # grain as strong as the contrast would hide the objects
    coarse = _grain(rng, len(like), 0.8 * widest)
    fine = _grain(rng, len(like), 0.3)
    return Looks(
        best,
        like,
        coarse[list(like)],
        fine[list(like)],
        bumps=(int(rng.integers(5, 14)), int(rng.integers(18, 46))),
        shading=float(rng.uniform(0.0, 0.25)),
        uneven=float(rng.uniform(0.0, 0.3)),
        exposure=between(rng, 0.03, 0.3),
        vary=0.15 * widest,
    )


def _grain(rng: np.random.Generator, tissues: int, most: float) -> Float32[ndarray, "t"]:
    return (float(rng.uniform(0.0, min(most, 0.3))) * rng.random(tissues)).astype(np.float32)
