"""A color PNG of 16 bits keeps all of them: a picture of 12 bits is not nearly black."""

import numpy as np
import pytest

from medshot.data.io.image import decode, read_image
from toys.pictures import spot, write_png16


@pytest.mark.parametrize(("color", "channels"), [(2, 3), (6, 4), (4, 2), (0, 1)])
def test_values_are_those_of_the_file_and_windowed(tmp_path, color, channels):
    gray, _ = spot(0)
    values = np.stack([gray * (16.0 - 3 * c) for c in range(channels)], -1).astype(np.uint16)
    path = write_png16(tmp_path / "a.png", values, color)
    kept = values[:, :, : 1 if channels < 3 else 3]
    np.testing.assert_array_equal(decode(path), kept)
    seen = read_image(path)
    low, high = np.percentile(kept, (0.5, 99.5))
    expected = (255 * ((kept - low) / (high - low)).clip(0, 1)).round()
    np.testing.assert_array_equal(seen, expected)
    assert len(np.unique(seen)) > 60
