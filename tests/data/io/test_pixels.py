"""Windowing, checks and sizes of values, and why a library failed."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from medshot.data.io.pixels import (
    UnreadableError,
    checked,
    filled,
    negative,
    reason,
    squared,
    windowed,
)


def test_masked_values_count_for_no_percentile(rng):
    values = rng.integers(0, 4000, (20, 20, 1)).astype(np.uint16)
    padded = rng.random(values.shape) < 0.3
    low, high = np.percentile(values[~padded], (0.5, 99.5))
    values[padded] = 65_000
    found = windowed(np.ma.MaskedArray(values, padded))
    expected = (255 * ((values - low) / (high - low)).clip(0, 1)).round()
    np.testing.assert_array_equal(found[~padded], expected[~padded])
    assert (found[padded] == 0).all()
    darkest = filled(np.ma.MaskedArray(values, padded))[padded]
    assert (darkest == values[~padded].min()).all()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int16, np.float32])
def test_the_negative_of_the_negative_is_the_image(rng, dtype):
    values = rng.integers(0, 2, (5, 4)).astype(dtype)
    np.testing.assert_array_equal(negative(negative(values)), values)
    assert (negative(values).argmax(), negative(values).argmin()) == (
        values.argmin(),
        values.argmax(),
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((4, 4, 5)), "4 x 4 x 5"),
        (np.ones((4, 4)), "same value"),
        (np.ma.MaskedArray(np.arange(4.0).reshape(2, 2), True), "same value"),
        (np.array([[1.0, np.nan]]), "not finite"),
        (np.ones((2, 2), complex), "type complex"),
    ],
)
def test_what_is_no_image_is_refused(values, said):
    with pytest.raises(UnreadableError, match=said):
        checked(values)


def test_a_square_is_as_pillow_resizes(rng):
    values = rng.integers(0, 256, (10, 14, 3)).astype(np.uint8)
    image = Image.fromarray(values)
    expected = np.asarray(image.resize((8, 8), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    np.testing.assert_array_equal(squared(values, 3, 8, "bilinear"), expected)
    gray = np.asarray(image.convert("L").resize((8, 8), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(squared(values, 1, 8, "nearest")[0], gray)


@pytest.mark.parametrize(
    ("error", "said", "damaged"),
    [
        (EOFError("x"), "damaged", True),
        (struct.error("x"), "damaged", True),
        (zlib.error("Error -3: incorrect data check"), "damaged", True),
        (OSError("image file is truncated (3 bytes not processed)"), "damaged", True),
        (SyntaxError("broken PNG file (chunk b'IDAT')"), "damaged", True),
        (MemoryError("9 x 9"), "too many pixels", False),
        (PermissionError(13, "Permission denied"), "Permission denied", False),
        (NotImplementedError("12 bits"), "not supported.*12 bits", False),
        (ValueError("COMPRESSION.X requires a library"), "not supported", False),
        (KeyError("x"), "not supported", False),
    ],
)
def test_only_damage_is_called_so(error, said, damaged):
    found = reason(error)
    with pytest.raises(UnreadableError, match=said):
        raise found
    assert ("damaged" in found.what) == damaged
