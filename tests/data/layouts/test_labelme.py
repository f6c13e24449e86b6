"""LabelMe: shapes as masks and boxes."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import medshot
from medshot import DataError
from medshot.data.readers.segmentation import read_image_and_mask
from toys.layouts import HEIGHT, SPOT, WIDTH, spot_picture, spot_truth, write_json

XMIN, YMIN, XMAX, YMAX = SPOT
POLYGON = {
    "label": "cell",
    "points": [[XMIN, YMIN], [XMAX, YMIN], [XMAX, YMAX], [XMIN, YMAX]],
    "shape_type": "polygon",
    "group_id": None,
    "flags": {},
}
RECTANGLE = {**POLYGON, "points": [[XMAX, YMAX], [XMIN, YMIN]], "shape_type": "rectangle"}


def _painted() -> dict[str, Any]:
    held = io.BytesIO()
    Image.fromarray(np.full((YMAX - YMIN, XMAX - XMIN), 255, np.uint8)).save(held, "PNG")
    place = {"points": [[XMIN, YMIN], [XMAX - 1, YMAX - 1]], "shape_type": "mask"}
    return {**POLYGON, **place, "mask": base64.b64encode(held.getvalue()).decode()}


def _folder(folder: Path, *shapes: Any, **changed: Any) -> Path:
    for i in range(3):
        spot_picture(folder / f"{i}.png", i)
        said = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imageData": None}
        size = {"imagePath": f"{i}.png", "imageHeight": HEIGHT, "imageWidth": WIDTH}
        write_json(folder / f"{i}.json", {**said, **size, **changed})
    return folder


@pytest.mark.parametrize("shape", [POLYGON, _painted()])
def test_areas(tmp_path: Path, shape: Any) -> None:
    data = medshot.load(_folder(tmp_path, shape))
    assert data.labels == ("background", "cell")
    assert np.array_equal(read_image_and_mask(data.rows[0])[1], spot_truth())


@pytest.mark.parametrize("shapes", [[RECTANGLE], [POLYGON, RECTANGLE]])
def test_boxes_whatever_corner_came_first(tmp_path: Path, shapes: Any) -> None:
    data = medshot.load(_folder(tmp_path, *shapes))
    want = [XMIN / WIDTH, YMIN / HEIGHT, XMAX / WIDTH, YMAX / HEIGHT]
    assert data.y[0, :, :4].tolist() == [pytest.approx(want)]


def test_a_circle(tmp_path: Path) -> None:
    circle = {**POLYGON, "points": [[25, 20], [35, 20]], "shape_type": "circle"}
    data = medshot.load(_folder(tmp_path, circle))
    mask = read_image_and_mask(data.rows[0])[1]
    assert mask.sum() == pytest.approx(np.pi * 100, rel=0.02)


def test_points_alone_are_centers(tmp_path: Path) -> None:
    point = {**POLYGON, "points": [[12, 11]], "shape_type": "point"}
    data = medshot.load(_folder(tmp_path, point), point_size=10.0)
    assert data.task.kind == "points"
    assert data.y[0, 0, :4].tolist() == pytest.approx(
        [7 / WIDTH, 6 / HEIGHT, 17 / WIDTH, 16 / HEIGHT]
    )


@pytest.mark.parametrize(
    ("points", "match"), [([[60, 10]], "outside of its image"), ([[1, 1], [2, 2]], "point of 2")]
)
def test_points_that_are_refused(tmp_path: Path, points: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        medshot.load(_folder(tmp_path, {**POLYGON, "points": points, "shape_type": "point"}))


def test_images_of_no_file_and_points_are_said(tmp_path: Path) -> None:
    point = {**POLYGON, "points": [[1, 1]], "shape_type": "point"}
    folder = _folder(tmp_path, POLYGON, point)
    spot_picture(folder / "alone.png", 7)
    data = medshot.load(folder)
    assert len(data) == 3
    assert any("without .json" in note and "alone.png" in note for note in data.notes)
    assert any("3 point: neither boxes" in note for note in data.notes)


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ({**POLYGON, "label": None}, "the class is"),
        ({**POLYGON, "points": [[1, 2], [3, 4]]}, "no polygon"),
        ({**POLYGON, "points": [[1], [3, 4]]}, "list of 2 numbers"),
        ({**POLYGON, "points": [[1, 2], [300, 4], [5, 9]]}, "reaches out"),
        ({**_painted(), "mask": "no base"}, "mask cannot be read"),
        (3, "has no points"),
    ],
)
def test_what_is_refused(tmp_path: Path, shape: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        medshot.load(_folder(tmp_path, shape))


def test_a_path_out_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="outside of the folder"):
        medshot.load(_folder(tmp_path, POLYGON, imagePath="../../../etc/passwd"))
