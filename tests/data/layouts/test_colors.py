"""Colors and grays of masks to class numbers over a whole folder."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medshot
from medshot import DataError
from medshot.data.readers.segmentation import read_image_and_mask
from toys.layouts import spot_mask, spot_picture, spot_truth

RED, GREEN = (255, 0, 0), (0, 255, 0)


def _folder(folder: Path, *values: object) -> Path:
    for i, value in enumerate(values):
        spot_picture(folder / "images" / f"{i}.png", i)
        spot_mask(folder / "masks" / f"{i}.png", value)
    return folder


def test_colors_are_numbered_over_all_masks(tmp_path: Path) -> None:
    data = medshot.load(_folder(tmp_path, RED, GREEN, RED))
    assert data.labels == ("background", "#00ff00", "#ff0000")
    numbers = [2, 1, 2]
    for row, number in zip(data.rows, numbers, strict=True):
        assert np.array_equal(read_image_and_mask(row)[1], spot_truth(number))
    line = "Masks are in color: #00ff00 is 1, #ff0000 is 2, 0 is background."
    assert line in data.notes


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("class_dict.csv", "name,r,g,b\nbackground,0,0,0\nliver,255,0,0\nspleen,0,255,0\n"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nliver:255,0,0::\nspleen:0,255,0::\n"),
    ],
)
def test_names_of_a_table(tmp_path: Path, name: str, text: str) -> None:
    folder = _folder(tmp_path, RED, GREEN)
    (folder / name).write_text(text)
    assert medshot.load(folder).labels == ("background", "liver", "spleen")


def test_grays_that_are_no_numbers(tmp_path: Path) -> None:
    data = medshot.load(_folder(tmp_path, 128, 255))
    assert data.labels == ("background", "128", "255")
    assert np.array_equal(read_image_and_mask(data.rows[1])[1] == 255, spot_truth() > 0)
    assert set(data.y[1].unique().tolist()) == {0, 2}


@pytest.mark.parametrize("value", [1, 255])
def test_numbers_and_black_and_white_stay(tmp_path: Path, value: int) -> None:
    data = medshot.load(_folder(tmp_path, value, value))
    assert data.labels == ("background", "foreground")
    assert not any("Masks " in note for note in data.notes)


def test_colors_of_a_table_of_ours(tmp_path: Path) -> None:
    folder = _folder(tmp_path, RED, GREEN)
    (folder / "labels.csv").write_text(
        "path,mask\nimages/0.png,masks/0.png\nimages/1.png,masks/1.png\n"
    )
    assert medshot.load(folder).labels == ("background", "#00ff00", "#ff0000")


def test_colors_without_black_are_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path, RED, GREEN)
    for path in (folder / "masks").iterdir():
        pixels = np.full((40, 50, 3), 9, np.uint8)
        pixels[5:9, 5:9] = RED
        Image.fromarray(pixels).save(path)
    with pytest.raises(DataError, match="background is not known"):
        medshot.load(folder)
