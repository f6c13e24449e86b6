"""YOLO text files: boxes and polygons in shares, where names are, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

import medshot
from medshot import DataError
from medshot.data.layouts.yolo import _in_yaml
from medshot.data.readers.segmentation import read_image_and_mask
from toys.layouts import HEIGHT, SPOT, WIDTH, spot_picture, spot_truth

XMIN, YMIN, XMAX, YMAX = SPOT
CORNERS = [XMIN / WIDTH, YMIN / HEIGHT, XMAX / WIDTH, YMAX / HEIGHT]
CENTER = [(XMIN + XMAX) / 2 / WIDTH, (YMIN + YMAX) / 2 / HEIGHT]
BOX = " ".join(map(str, [*CENTER, (XMAX - XMIN) / WIDTH, (YMAX - YMIN) / HEIGHT]))
AROUND = [CORNERS[i] for i in (0, 1, 2, 1, 2, 3, 0, 3)]


def _folder(folder: Path, *lines: str, names: str | None = "cell\nother\n") -> Path:
    for i, line in enumerate(lines):
        spot_picture(folder / f"{i}.png", i)
        (folder / f"{i}.txt").write_text(line)
    if names is not None:
        (folder / "classes.txt").write_text(names)
    return folder


def test_boxes_beside_images(tmp_path: Path) -> None:
    data = medshot.load(_folder(tmp_path, f"1 {BOX}\n", f"0 {BOX}\n", ""))
    assert data.labels == ("cell", "other")
    assert data.y[0, 0, :4].tolist() == pytest.approx(CORNERS)
    assert data.counts() == {"cell": 1, "other": 1}
    assert len(data) == 3  # the empty file is an image without objects


def test_polygons_are_masks(tmp_path: Path) -> None:
    line = " ".join(map(str, [0, *AROUND]))
    data = medshot.load(_folder(tmp_path, line, line))
    assert data.kind == "segmentation"
    assert data.labels == ("background", "cell")
    assert np.array_equal(read_image_and_mask(data.rows[0])[1], spot_truth())


def test_without_names_and_without_a_file(tmp_path: Path) -> None:
    folder = _folder(tmp_path, f"0 {BOX}", f"3 {BOX}", names=None)
    spot_picture(folder / "alone.png", 5)
    data = medshot.load(folder)
    assert data.labels == ("0", "3")
    assert any("called by number" in note and "without objects" in note for note in data.notes)


def test_trees_of_images_and_labels(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for i in range(2):
            spot_picture(tmp_path / "images" / part / f"{part}{i}.jpg", i)
            text = tmp_path / "labels" / part / f"{part}{i}.txt"
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text(f"0 {BOX}")
    (tmp_path / "data.yaml").write_text("names:\n  0: 'a cell'\n")
    for folder in (tmp_path, tmp_path / "images" / "val"):
        data = medshot.load(folder)
        assert (len(data), data.labels) == (2, ("a cell",))


@pytest.mark.parametrize(
    "text",
    [
        "names: [a b, 'c, d']\n",
        'names: {0: a b, 1: "c, d"}\n',
        "nc: 2\nnames:\n- a b\n- 'c, d'\nroboflow: x\n",
        "names:\n  0: a b  # first\n  1: 'c, d'\n\ntrain: x",
    ],
)
def test_names_in_yaml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "data.yaml"
    path.write_text(text)
    assert _in_yaml(path) == ["a b", "c, d"]


@pytest.mark.parametrize(
    ("line", "match"),
    [
        (f"7 {BOX}", "has the class 7"),
        ("0 0.5 0.5 0.2", "4 numbers"),
        (f"0 {BOX} 0.9", "a prediction with its score"),
        ("0 10 12 8 7", "10 is not between 0 and 1"),
        ("0 0.9 0.5 0.4 0.2", "reaches out of the image"),
        ("0 0.5 0.5 0 0.2", "has no size"),
        (f"cell {BOX}", "is no number"),
        (f"0.5 {BOX}", "no number of a class"),
    ],
)
def test_what_is_refused_names_file_and_line(tmp_path: Path, line: str, match: str) -> None:
    folder = _folder(tmp_path, f"0 {BOX}", line)
    with pytest.raises(DataError, match=match) as error:
        medshot.load(folder)
    assert "1.txt: line 1" in str(error.value)


def test_reports_beside_images_are_no_boxes(tmp_path: Path) -> None:
    for label in ("x", "y"):
        for i in range(2):
            spot_picture(tmp_path / label / f"{i}.png", ord(label) + 9 * i)
            (tmp_path / label / f"{i}.txt").write_text("No finding in the left lung.")
    assert medshot.load(tmp_path).counts() == {"x": 2, "y": 2}
