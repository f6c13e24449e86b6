"""Masks from boxes and points: what is known for sure, and the rest decided by the image itself.

A sketch has the number of a class where it is sure, 0 where nothing is, and `UNKNOWN` between. The
unknown pixels of an image are decided by that image alone, so that nothing of an image left out is
in the masks of others.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8
from numpy import ndarray
from PIL import Image

UNKNOWN = 255  # pixel of a sketch
CORE = 0.5  # sides of the ellipse that is surely object, of those of its box
DISC = 0.02  # radius around a point that is surely object, of the longer side of the image
FAR = 0.25  # distance from every point beyond which nothing is, likewise
SIDE = 192  # pixels of the longer side on which is decided
ROUNDS = 4
RANDOM = 200  # random features
PENALTY = 1e-2
PLACE, RIM = 3.0, 0.2  # weight of the place; where between edge (0) and core (1) it is neutral
SMOOTH = 1.5  # pixels: blur of the scores
SCALES = (1.0, 3.0)  # pixels: blurs of the image

Number = int | float
Corners = tuple[Number, Number, Number, Number]


def box_sketch(
    boxes: Sequence[tuple[Corners, int]],
    points: Sequence[tuple[Number, Number, int]],
    shape: tuple[int, int],
) -> UInt8[ndarray, "h w"]:
    """What boxes (xmin, ymin, xmax, ymax) and points (x, y), each with a class, say for sure.

    Outside of all boxes is background, an ellipse of half the sides of a box is object. Without
    boxes, background is far from every point of an object, and around points of class 0.
    """
    rows, columns = np.indices(shape) + 0.5
    reach = max(shape)
    sketch = np.zeros(shape, np.uint8)
    if not boxes:
        distances = [np.hypot(columns - x, rows - y) for x, y, number in points if number]
        near = np.min(distances, axis=0) if distances else np.full(shape, np.inf)
        sketch[near <= FAR * reach] = UNKNOWN
    for (xmin, ymin, xmax, ymax), _ in boxes:
        inside = (columns > xmin) & (columns < xmax) & (rows > ymin) & (rows < ymax)
        sketch[inside] = UNKNOWN
    for (xmin, ymin, xmax, ymax), number in boxes:
        across = (columns - (xmin + xmax) / 2) / max(CORE * (xmax - xmin) / 2, 0.5)
        down = (rows - (ymin + ymax) / 2) / max(CORE * (ymax - ymin) / 2, 0.5)
        sketch[across**2 + down**2 <= 1] = number
    for x, y, number in points:
        sketch[np.hypot(columns - x, rows - y) <= max(DISC * reach, 1)] = number
    return sketch


def completed(
    pixels: UInt8[ndarray, "h w c"], sketch: Integer[ndarray, "h w"]
) -> Integer[ndarray, "h w"]:
    """The sketch with its unknown pixels decided, between background and the nearest class.

    Ridge regression of object or background on colors, blurs and random features of them is fitted
    to what is sure, then again to what it decided, as GrabCut iterates (Rother et al. 2004,
    doi:10.1145/1015706.1015720); where we differ, a blur of the scores takes the place of the cut.
    A sketch without background, or without an object, stays as it is: there is nothing to compare.
    """
    small = _at(sketch, SIDE)
    unknown = small == UNKNOWN
    object_, ground = (small > 0) & ~unknown, small == 0
    if not (unknown.any() and object_.any() and ground.any()):
        return sketch
    features = _features(pixels, small.shape)
    inside, place = object_.copy(), PLACE * (_depth(object_, ground) - RIM)
    for step in range(ROUNDS):
        shown = (object_ | ground) if step == 0 else np.ones(small.shape, bool)
        score = _score(features, inside, shown) + place
        inside = object_ | (unknown & (score > 0))
    there = np.asarray(
        Image.fromarray(inside).resize(
            (sketch.shape[1], sketch.shape[0]), Image.Resampling.NEAREST
        ),
        bool,
    )
    found = np.where(sketch == UNKNOWN, 0, sketch)
    return np.where((sketch == UNKNOWN) & there, _nearest(sketch), found).astype(sketch.dtype)


def _at(mask: Integer[ndarray, "h w"], side: int) -> Integer[ndarray, "i j"]:
    scale = min(1.0, side / max(mask.shape))
    height, width = (max(round(n * scale), 1) for n in mask.shape)
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def _features(pixels: UInt8[ndarray, "h w c"], shape: tuple[int, int]) -> Float[ndarray, "m f"]:
    """Colors, blurs and edges of each pixel, and random Fourier features of them."""
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude  # noqa: PLC0415  (slow)

    planes: list[ndarray] = []
    for c in range(pixels.shape[2]):
        plane = Image.fromarray(pixels[:, :, c]).resize((shape[1], shape[0]), Image.Resampling.BOX)
        values = np.asarray(plane, np.float64) / 255
        planes.append(values)
        for scale in SCALES:
            planes += [gaussian_filter(values, scale), gaussian_gradient_magnitude(values, scale)]
    z = np.stack(planes, -1).reshape(-1, len(planes))
    z = (z - z.mean(0)) / (z.std(0) + 1e-6)
    # Rahimi & Recht 2007, NIPS 20
    rng = np.random.default_rng(0)
    turned = z @ rng.standard_normal((z.shape[1], RANDOM)) / z.shape[1] ** 0.5
    waves = np.cos(turned + rng.uniform(0, 2 * np.pi, RANDOM))
    return np.concatenate([z, waves, np.ones((len(z), 1))], 1)


def _score(
    z: Float[ndarray, "m f"], inside: Bool[ndarray, "h w"], shown: Bool[ndarray, "h w"]
) -> Float[ndarray, "h w"]:
    """Smoothed score of being object, of a ridge regression in which both classes weigh alike."""
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415  (slow to import)

    y, use = np.where(inside, 1.0, -1.0).ravel(), shown.ravel()
    weight = np.where(y > 0, 0.5 / (use & (y > 0)).sum(), 0.5 / (use & (y < 0)).sum())[use]
    rows = z[use] * weight[:, None]
    gram = rows.T @ z[use] + PENALTY * np.eye(z.shape[1])
    found = z @ np.linalg.solve(gram, rows.T @ y[use])
    return gaussian_filter(found.reshape(inside.shape), SMOOTH)


def _depth(object_: Bool[ndarray, "h w"], ground: Bool[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """Place between background, 0, and what is surely object, 1."""
    from scipy.ndimage import distance_transform_edt  # noqa: PLC0415  (slow to import)

    out, into = (np.asarray(distance_transform_edt(~each)) for each in (ground, object_))
    return out / (out + into)


def _nearest(sketch: Integer[ndarray, "h w"]) -> Integer[ndarray, "h w"]:
    """The nearest class of every pixel."""
    from scipy.ndimage import distance_transform_edt  # noqa: PLC0415  (slow to import)

    sure = (sketch > 0) & (sketch != UNKNOWN)
    found: tuple[ndarray, ...] = distance_transform_edt(  # type: ignore[assignment]
        ~sure, return_distances=False, return_indices=True
    )
    return sketch[tuple(found)]
