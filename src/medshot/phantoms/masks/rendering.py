"""Cameras: blur, resolution and noise of image acquisition."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from medshot.phantoms.masks.families.base import between

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
