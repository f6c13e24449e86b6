"""Folders of images with points: their size, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import medshot
from medshot import ConfigError, DataError
from medshot.data.readers.points import estimated_size
from medshot.data.readers.registry import kind_of

HEAD = "path,x,y,label"
LINES = (HEAD, "0.png,30,20,cell", "0.png,60,50,nerve", "1.png,0,80,cell", "2.png,,,")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images of 120 x 80 pixels with points."""
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (80, 120), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    write(tmp_path, *LINES)
    return tmp_path


def write(folder: Path, *lines: str, name: str = "points.csv") -> None:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_points_are_boxes_of_the_stated_size(folder: Path) -> None:
    assert kind_of(folder) == "points"
    found = medshot.load(folder, point_size=12.0)
    assert found.task == medshot.Points.of(2)
    assert found.labels == ("cell", "nerve")
    want = torch.tensor([24 / 120, 14 / 80, 36 / 120, 26 / 80, 0])
    torch.testing.assert_close(found.y[0, 0], want)
    assert found.y[1, 0, :4].tolist() == pytest.approx([-6 / 120, 74 / 80, 6 / 120, 86 / 80])
    assert found.y[2, :, 4].tolist() == [-1, -1]
    assert any("12 pixels across (as --point-size" in note for note in found.notes)
    found.task.check(found.y)


@pytest.mark.parametrize("radius", [5, 11, 24])
def test_the_size_is_estimated_from_the_image(tmp_path: Path, radius: int) -> None:
    y, x = np.mgrid[:240, :300]
    places = [(60, 60), (220, 70), (80, 180), (215, 175)]
    near = np.min([(x - a) ** 2 + (y - b) ** 2 for a, b in places], 0) <= radius**2
    noise = np.random.default_rng(0).integers(0, 60, near.shape)
    Image.fromarray((160 * near + noise).astype(np.uint8)).save(tmp_path / "a.png")
    marks = torch.tensor([[[a / 300, b / 240, 1 / 300, 1 / 240, 0] for a, b in places]])
    assert estimated_size([tmp_path / "a.png"], marks) == pytest.approx(2 * radius, rel=0.25)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("0.png,130,20,cell", r"points\.csv, line 2: the point 130, 20 lies outside of 0\.png"),
        ("0.png,nan,20,cell", "not finite"),
        ("0.png,a,20,cell", "not a number"),
        ("0.png,30,,cell", "y is empty"),
        ("9.png,30,20,cell", "9.png"),
    ],
)
def test_what_is_refused_names_the_line(folder: Path, line: str, match: str) -> None:
    write(folder, HEAD, line, *LINES[2:])
    with pytest.raises(DataError, match=match):
        medshot.load(folder)
    assert medshot.check(folder).errors


def test_points_and_boxes_in_one_folder_are_asked_about(folder: Path) -> None:
    write(folder, "path,xmin,ymin,xmax,ymax,label", "0.png,1,1,9,9,cell", name="boxes.csv")
    with pytest.raises(DataError, match="--task detection"):
        kind_of(folder)
    assert medshot.load(folder, task="points").labels == ("cell", "nerve")


def test_a_size_below_a_pixel_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="from 1 on"):
        medshot.load(folder, point_size=0.5)


def test_a_point_twice_is_refused(folder: Path) -> None:
    write(folder, *LINES, "0.png,30,20,cell")
    with pytest.raises(DataError, match="the same point in lines 2 and 6"):
        medshot.load(folder)
