"""Masks beside their images in folders of classes are no images."""

from pathlib import Path

import pytest

import medshot
from toys.layouts import spot_mask, spot_picture


@pytest.mark.parametrize("ending", ["_mask", "-mask", "_seg", "_label", "_gt", "_mask_1", " mask"])
def test_masks_beside_images_are_left_out_and_said(tmp_path: Path, ending: str) -> None:
    for i in range(8):
        at = tmp_path / ("normal" if i % 2 else "lesion")
        spot_picture(at / f"scan {i}.png", i), spot_mask(at / f"scan {i}{ending}.png")
    found = medshot.check(tmp_path)
    assert found.listed == "read as class folders: 8 images, 2 classes (lesion, normal)"
    (warning,) = (f for f in found.findings if "mask" in f.what)
    assert warning.severity == "warning"
    assert warning.what.startswith("8 masks beside the images left out")
    data = medshot.load(tmp_path)
    assert data.counts() == {"lesion": 4, "normal": 4}
    assert any("8 masks beside the images left out" in note for note in data.notes)


def test_the_masks_are_learned_if_asked_for(tmp_path: Path) -> None:
    for i in range(4):
        at = tmp_path / ("normal" if i % 2 else "lesion")
        spot_picture(at / f"{i}.png", i), spot_mask(at / f"{i}_mask.png")
    data = medshot.load(tmp_path, task="segmentation")
    assert data.counts() == {"background": 4, "foreground": 4}
    assert not any("left out" in note for note in data.notes)


def test_a_picture_named_like_a_mask_stays_an_image(tmp_path: Path) -> None:
    for i in range(4):
        at = tmp_path / ("x" if i % 2 else "y")
        spot_picture(at / f"{i}.png", i), spot_picture(at / f"{i}_label.png", 9 + i)
    found = medshot.check(tmp_path)
    assert "8 images" in found.listed
    assert any("named as masks" in f.what and f.severity == "warning" for f in found.findings)
