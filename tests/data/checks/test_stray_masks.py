"""Masks by their names, and by what they hold."""

from pathlib import Path

import numpy as np
import pytest

from medshot.data.checks.stray_masks import distinct, looks_like_mask, masks_by_suffix, unmasked
from toys.layouts import spot_mask, spot_picture


@pytest.mark.parametrize(
    ("stem", "base"),
    [
        ("scan 3_mask", "scan 3"),
        ("scan 3-mask", "scan 3"),
        ("a_seg", "a"),
        ("a_label", "a"),
        ("a_GT", "a"),
        ("a_mask_1", "a"),
        ("a segmentation", "a"),
        ("mask_a", "a"),
        ("a_2", None),
        ("unmask", None),
        ("mask", None),
    ],
)
def test_names(stem: str, base: str | None) -> None:
    assert unmasked(stem) == base


def test_only_beside_an_image_of_that_name() -> None:
    files = [Path(name) for name in ("a/x.jpg", "a/x_mask.png", "a/y_mask.png", "b/x_mask.png")]
    assert masks_by_suffix(files) == {Path("a/x_mask.png"): Path("a/x.jpg")}


def test_values_and_size(tmp_path: Path) -> None:
    image = spot_picture(tmp_path / "x.png")
    assert looks_like_mask(spot_mask(tmp_path / "m.png"), image)
    assert looks_like_mask(spot_mask(tmp_path / "c.png", (255, 0, 0)), image)
    assert looks_like_mask(spot_mask(tmp_path / "m.jpg"), image)
    assert not looks_like_mask(spot_picture(tmp_path / "y.png", 1), image)
    (tmp_path / "z.png").write_bytes(b"no image")
    assert not looks_like_mask(tmp_path / "z.png", image)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colors_are_counted_as_by_sorting_rows(channels: int) -> None:
    rng = np.random.default_rng(channels)
    values = 40 * rng.integers(0, 6, (20, 30, channels)).astype(np.uint8)
    found = distinct(values)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.unique(values.reshape(-1, channels), axis=0))
