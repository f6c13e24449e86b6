"""Masks by their names: beside images, in folders, one a structure, in color."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import medshot
from medshot import DataError
from medshot.data.readers.segmentation import read_image_and_mask
from toys.layouts import spot_mask, spot_picture, spot_truth

OTHER = (30, 25, 45, 35)


def _masks(folder: Path) -> list[np.ndarray]:
    return [read_image_and_mask(row)[1] for row in medshot.load(folder).rows]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}.png", "{}_mask.png"),
        ("{}.jpg", "{}-seg.png"),
        ("a {}.png", "a {}_gt.tif"),
        ("images/{}.jpg", "masks/{}.png"),
        ("images/{}.jpg", "labels/{}_label.png"),
        ("Images/{}.png", "Annotations/{}.png"),
        ("imgs/{}.png", "ground_truth/{}_segmentation.png"),
        ("images/train/{}.png", "masks/train/{}.png"),
        ("train/images/{}.png", "train/masks/{}.png"),
        ("train/{}.png", "train_masks/{}_mask.png"),
        ("{}.png", "masks/{}.png"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
    ],
)
def test_pairs(tmp_path: Path, image: str, mask: str) -> None:
    for i in range(3):
        spot_picture(tmp_path / image.format(i), i), spot_mask(tmp_path / mask.format(i))
    data = medshot.load(tmp_path)
    assert data.kind == "segmentation"
    assert len(data) == 3
    assert data.notes[1].startswith("Read as images with masks")
    for found in _masks(tmp_path):
        assert np.array_equal(found > 0, spot_truth() > 0)


def test_several_masks_of_an_image_are_joined(tmp_path: Path) -> None:
    for i in range(2):
        spot_picture(tmp_path / f"{i}.png", i), spot_mask(tmp_path / f"{i}_mask.png")
        spot_mask(tmp_path / f"{i}_mask_1.png", spot=OTHER)
    want = spot_truth()
    want[25:35, 30:45] = 1
    assert all(np.array_equal(found, want) for found in _masks(tmp_path))


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("case{}.png", "case{}_{}.png"),
        ("case{}.png", "case{}_{}_mask.png"),
        ("images/case{}.png", "masks/{1}/case{0}.png"),
        ("images/case{}.png", "masks/case{}_{}.png"),
    ],
)
def test_a_mask_for_each_structure(tmp_path: Path, image: str, mask: str) -> None:
    for i in range(2):
        spot_picture(tmp_path / image.format(i), i)
        spot_mask(tmp_path / mask.format(i, "liver"))
        spot_mask(tmp_path / mask.format(i, "spleen"), spot=OTHER)
    data = medshot.load(tmp_path)
    assert data.labels == ("background", "liver", "spleen")
    want = spot_truth()
    want[25:35, 30:45] = 2
    assert all(np.array_equal(found, want) for found in _masks(tmp_path))
    assert any("2 classes (liver, spleen), a mask for each" in note for note in data.notes)


def test_images_without_a_mask_are_left_out_and_said(tmp_path: Path) -> None:
    for i in range(3):
        spot_picture(tmp_path / "images" / f"{i}.png", i)
    for i in range(2):
        spot_mask(tmp_path / "masks" / f"{i}.png")
    data = medshot.load(tmp_path)
    assert len(data) == 2
    assert any("without a mask" in note and "2.png" in note for note in data.notes)


def test_a_mask_without_an_image_is_refused(tmp_path: Path) -> None:
    for i in range(3):
        spot_picture(tmp_path / "images" / f"{i}.png", i), spot_mask(tmp_path / f"masks/{i}.png")
    spot_mask(tmp_path / "masks" / "9.png")
    with pytest.raises(DataError, match=r"9\.png.*without an image"):
        medshot.load(tmp_path)


def test_two_folders_of_masks_are_refused(tmp_path: Path) -> None:
    for i in range(2):
        spot_picture(tmp_path / "images" / f"{i}.png", i)
        spot_mask(tmp_path / "masks" / f"{i}.png"), spot_mask(tmp_path / "gt" / f"{i}.png")
    with pytest.raises(DataError, match="gt and masks"):
        medshot.load(tmp_path)


def test_a_structure_in_grays_is_refused(tmp_path: Path) -> None:
    for i in range(2):
        spot_picture(tmp_path / "images" / f"{i}.png", i)
        spot_mask(tmp_path / "masks" / "liver" / f"{i}.png")
        spot_picture(tmp_path / "masks" / "spleen" / f"{i}.png", 5 + i)
    with pytest.raises(DataError, match="not black and white"):
        medshot.load(tmp_path)


def test_classes_called_with_and_without_a_mask_stay_classes(tmp_path: Path) -> None:
    for i in range(4):
        spot_picture(tmp_path / ("with_mask" if i % 2 else "without_mask") / f"{i}.png", i)
    assert medshot.load(tmp_path).counts() == {"with_mask": 2, "without_mask": 2}


def test_predict_leaves_the_masks_out(tmp_path: Path) -> None:
    for i in range(4):
        spot_picture(tmp_path / "x" / f"{i}.png", i), spot_mask(tmp_path / "x" / f"{i}_mask.png")
    learner = medshot.build("linear-probe", encoder=medshot.encoder("filters"))
    found = learner.adapt(medshot.load(tmp_path / "x")).predict_folder(tmp_path / "x")
    assert len(found) == 4


def _voc(folder: Path, border: int) -> Path:
    """Two classes of squares; of a border of two pixels around them, the value is `border`."""
    for i in range(6):
        rng = np.random.default_rng(i)
        mask = np.full((32, 40), 0, np.uint8)
        for number, top, left in ((1, 4, 4), (15, 16, 22)):
            mask[top - 2 : top + 12, left - 2 : left + 12] = border
            mask[top : top + 10, left : left + 10] = number
        pixels = rng.integers(0, 40, (32, 40)) + 60 * (mask == 1) + 180 * (mask == 15)
        for home, values in (("JPEGImages", pixels), ("SegmentationClass", mask)):
            (folder / home).mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(values.astype(np.uint8))
            if values is mask:
                picture.putpalette(bytes(rng.integers(0, 256, 768).astype(np.uint8)))
            picture.save(folder / home / f"{i}.png")
    return folder


def test_the_border_of_pascal_voc_is_not_labeled(tmp_path: Path) -> None:
    marked, plain = _voc(tmp_path / "a", 255), _voc(tmp_path / "b", 0)
    checked = medshot.check(marked)
    assert checked.listed.endswith("255 is not labeled")
    assert not any("255" in finding.what for finding in checked.findings)
    data, other = (medshot.load(folder, channels=1, size=32) for folder in (marked, plain))
    assert data.labels == other.labels == ("background", "1", "15")
    known = data.y >= 0
    assert 0.1 < (~known).float().mean() < 0.4
    assert (data.y[known] == other.y[known]).all()
    assert data.at(1, 40).y.min() == -1
    found = medshot.adapt(marked, "linear-probe", encoder="filters")
    scores = found.scores
    assert scores["Dice"].mean > 0.9
    answer = found.predictor.predict(marked / "JPEGImages" / "0.png").mask
    assert set(np.unique(answer)) == {0, 1, 15}
    task, (x, y) = data.task, (torch.randn(6, 3, 32, 32), data.task.unpack(data.y))
    moved = torch.where(known[:, None], x, torch.randn(6, 3, 32, 32))
    assert task.loss(moved, y) == task.loss(x, y)
    decoded = [task.decode(each).numpy() for each in (x, moved)]
    for a, b in zip(*(task.metric_inputs(each, y.numpy()) for each in decoded), strict=True):
        assert (a == b).all()


def test_one_mask_of_another_size_is_named_and_does_not_hide_the_others(tmp_path: Path) -> None:
    for i in range(4):
        side = 32 if i == 3 else 64
        noise = np.random.default_rng(i).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
        mask = np.zeros((side, side), np.uint8)
        mask[8:16, 8:16] = 255
        Image.fromarray(mask).save(tmp_path / f"{i}_mask.png")
    with pytest.raises(medshot.DataError, match=r"3_mask\.png.*32"):
        medshot.load(tmp_path)
    assert len(medshot.load(tmp_path, skip_bad=True)) == 3
