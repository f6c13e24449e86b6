"""Pictures of masks on their images."""

from pathlib import Path

import numpy as np
from PIL import Image

from medshot.core import MaskPrediction
from medshot.data.draw import COLORS
from medshot.presenters.overlay import LARGEST, LINE, SMALLEST, overlay

LABELS = ("background", "lesion", "4")


def found(path: Path, shape: tuple[int, int], *, empty: bool = False) -> MaskPrediction:
    Image.fromarray(np.arange(shape[0] * shape[1], dtype=np.uint8).reshape(shape)).save(path)
    mask = np.zeros(shape, np.uint8)
    mask[2:9, 3:9] = 0 if empty else 1
    mask[10:12, 3:9] = 0 if empty else 2
    return MaskPrediction(str(path), mask, LABELS)


def test_a_small_image_is_enlarged_and_marked_in_the_colors_of_the_legend(tmp_path: Path):
    picture = overlay(found(tmp_path / "a.png", (16, 12)))
    assert picture.size == (SMALLEST * 12 // 16, SMALLEST + 2 * LINE)
    shown = np.asarray(picture)[:SMALLEST].reshape(-1, 3)
    for color in COLORS[1:3]:
        assert (shown == color).all(1).any()  # its outline
        assert (np.asarray(picture)[SMALLEST:].reshape(-1, 3) == color).all(1).any()


def test_a_large_image_is_reduced_and_an_empty_mask_says_so(tmp_path: Path):
    picture = overlay(found(tmp_path / "a.png", (1500, 3000), empty=True))
    assert picture.size == (LARGEST, LARGEST // 2 + LINE)
    assert not (np.asarray(picture)[: LARGEST // 2].reshape(-1, 3) == COLORS[1]).all(1).any()
