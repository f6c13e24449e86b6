"""Views without a closed outline: a chest radiograph and the layers under an ultrasound probe."""

import numpy as np

from medshot.data.phantoms.anatomy.body import Body, patient_grid
from medshot.data.phantoms.fields import Map, ellipse, smooth_noise, soft_step


def chest(rng: np.random.Generator, size: int) -> Body:
    """Return one frontal chest, its attenuation summed: lungs, heart, spine, ribs, diaphragm."""
    x, y = patient_grid(rng, size, bend=0.03)
    body = ellipse(x, y, (0.0, 0.7), (1.2, 1.75), edge=0.15)
    lungs = np.maximum(
        ellipse(x, y, (-0.45, -0.02), (0.36, 0.76), edge=0.12),
        ellipse(x, y, (0.47, -0.02), (0.34, 0.74), edge=0.12),
    )
    dome = soft_step(y - 0.5 + 0.35 * (np.abs(x) - 0.42) ** 2, 0.12)
    heart = ellipse(x, y, (0.14, 0.2), (float(rng.uniform(0.24, 0.36)), 0.34), edge=0.12)
    spine = soft_step(0.13 - np.abs(x), 0.12)
    air = lungs * (1.0 - dome)
    canvas = body * (0.58 + 0.06 * smooth_noise(rng, size, 3))
    canvas -= float(rng.uniform(0.28, 0.36)) * air * (1.0 - 0.9 * heart)
    canvas += 0.12 * spine * body + 0.06 * heart
    canvas += float(rng.uniform(0.07, 0.13)) * _ribs(x, y, rng) * body
    canvas += 0.025 * smooth_noise(rng, size, 14) * air
    return Body(canvas, body)


def _ribs(x: Map, y: Map, rng: np.random.Generator) -> Map:
    """Return the bands of ribs, which fall away from the spine."""
    beat = float(rng.uniform(11.0, 15.0))
    phase = float(rng.uniform(0.0, 2.0 * np.pi))
    bands = np.sin(beat * (y - 0.55 * np.abs(x) + 0.5 * x**2) + phase)
    return soft_step(bands - 0.45, 0.5) * soft_step(np.abs(x) - 0.12, 0.1)


def layers(rng: np.random.Generator, size: int) -> Body:
    """Return tissue in layers by its echo strength: skin, fat, fascia, muscle, an organ."""
    x, y = patient_grid(rng, size, bend=0.06)
    depth = 0.5 * (y + 1.0) + 0.05 * np.sin(float(rng.uniform(1.0, 3.0)) * x)
    count = int(rng.integers(4, 7))
    edges = np.sort(rng.uniform(0.08, 0.85, count))
    echo = rng.uniform(0.35, 0.65, count + 1)
    canvas = np.full_like(depth, 0.85)
    for top, value in zip([0.04, *edges], echo, strict=True):
        canvas += soft_step(depth - float(top), 0.03) * (float(value) - canvas)
        # Fascia reflects at the interface: a thin bright line.
        canvas += 0.18 * np.exp(-(((depth - float(top)) / 0.012) ** 2))
    vessel = ellipse(x, y, (float(rng.uniform(-0.6, 0.6)), 0.1), (0.13, 0.09), edge=0.04)
    canvas += vessel * (0.15 - canvas) * float(rng.random() < 0.5)
    canvas += 0.04 * smooth_noise(rng, size, 8, 3)
    return Body(canvas, np.ones_like(canvas))
