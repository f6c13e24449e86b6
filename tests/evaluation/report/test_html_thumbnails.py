import base64
import io

import numpy as np
import pytest
from PIL import Image

from medshot.evaluation.report.html import thumbnail


def _decode(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_small_image_comes_back_unchanged(channels: int, mode: str) -> None:
    pixels = np.arange(channels * 6 * 9, dtype=np.uint8).reshape(channels, 6, 9)
    image = _decode(thumbnail(pixels))
    assert (image.mode, image.size) == (mode, (9, 6))
    shown = np.asarray(image).reshape(6, 9, channels).transpose(2, 0, 1)
    assert np.array_equal(shown, pixels)


def test_a_large_image_is_shrunk_in_proportion() -> None:
    image = _decode(thumbnail(np.zeros((3, 400, 200), dtype=np.uint8), longest_side=100))
    assert image.size == (50, 100)


def test_other_arrays_are_refused() -> None:
    with pytest.raises(TypeError, match="uint8"):
        thumbnail(np.zeros((1, 4, 4)))  # pyright: ignore[reportArgumentType]
    for shape in ((4, 4), (2, 4, 4), (1, 0, 4)):
        with pytest.raises(ValueError, match="c h w"):
            thumbnail(np.zeros(shape, dtype=np.uint8))
