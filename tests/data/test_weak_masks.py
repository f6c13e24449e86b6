"""Masks from boxes and points."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medshot.core import DataError
from medshot.data.load import load_one
from medshot.data.weak_masks import UNKNOWN, box_sketch, completed

SHAPE = (60, 80)


def disk(x: float = 40, y: float = 30, radius: float = 14) -> np.ndarray:
    rows, columns = np.indices(SHAPE) + 0.5
    return np.hypot(columns - x, rows - y) <= radius


def picture(mask: np.ndarray, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 60, (*SHAPE, 3))
    return (noise + 120 * mask[:, :, None] * [1, 0.5, 0]).astype(np.uint8)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_outside_of_boxes_is_background_and_their_middle_object():
    sketch = box_sketch([((20, 10, 40, 30), 2)], [], SHAPE)
    assert (sketch[:, :20] == 0).all()
    assert sketch[20, 30] == 2
    assert sketch[11, 21] == UNKNOWN
    assert (sketch[10:30, 20:40] != 0).all()


def test_far_from_points_is_background_and_points_of_background_count():
    sketch = box_sketch([], [(40, 30, 1), (45, 30, 0)], SHAPE)
    assert (sketch[30, 40], sketch[30, 45], sketch[30, 79], sketch[30, 50]) == (1, 0, 0, UNKNOWN)


def test_what_is_in_a_box_is_decided_by_the_image():
    truth = disk()
    corners = (26, 16, 54, 44)
    found = completed(picture(truth), box_sketch([(corners, 1)], [], SHAPE))
    box = np.zeros(SHAPE, bool)
    box[16:44, 26:54] = True
    assert set(np.unique(found)) == {0, 1}
    assert dice(found == 1, truth) > 0.95 > dice(box, truth)


def test_a_point_in_each_object_finds_it():
    found = completed(picture(disk()), box_sketch([], [(40, 30, 1), (40, 55, 0)], SHAPE))
    assert dice(found == 1, disk()) > 0.8


def test_classes_of_several_boxes_stay_apart():
    one, two = disk(20, 20, 9), disk(60, 40, 9)
    boxes = [((11, 11, 29, 29), 1), ((51, 31, 69, 49), 2)]
    found = completed(picture(one | two), box_sketch(boxes, [], SHAPE))
    assert dice(found == 1, one) > 0.9
    assert dice(found == 2, two) > 0.9


def test_without_background_nothing_is_decided():
    sketch = box_sketch([((0, 0, 80, 60), 1)], [], SHAPE)
    assert np.array_equal(completed(picture(disk()), sketch), sketch)


def labelme(folder: Path, *shapes: tuple[str, str, list[list[float]]]) -> Path:
    """Two images with the same shapes."""
    folder.mkdir()
    for i in range(2):
        Image.fromarray(picture(disk(), i)).save(folder / f"{i}.png")
        about = [{"label": n, "shape_type": kind, "points": p} for n, kind, p in shapes]
        said = {"version": "5", "imagePath": f"{i}.png", "shapes": about}
        (folder / f"{i}.json").write_text(json.dumps(said))
    return folder


BOX = ("cell", "rectangle", [[26, 16], [54, 44]])


def test_boxes_of_labelme_become_masks_where_they_are_asked_for(tmp_path):
    folder = labelme(tmp_path / "a", BOX)
    found = load_one(folder, task="segmentation", size=64)
    assert found.labels == ("background", "cell")
    truth = np.asarray(Image.fromarray(disk()).resize((64, 64), Image.Resampling.NEAREST))
    assert dice(found.y[0].numpy() == 1, truth) > 0.9
    assert any("decided by the image" in note for note in found.notes)


def test_points_of_labelme_are_masks(tmp_path):
    points = [("cell", "point", [[40, 30]]), ("background", "point", [[40, 55]])]
    found = load_one(labelme(tmp_path / "a", *points), task="segmentation", size=64)
    assert found.labels == ("background", "cell")
    assert (found.y == 1).any()


def test_boxes_in_a_table_become_masks(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    lines = ["path,xmin,ymin,xmax,ymax,label"]
    for i in range(2):
        Image.fromarray(picture(disk(), i)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,26,16,54,44,cell")
    (folder / "boxes.csv").write_text("\n".join(lines))
    assert load_one(folder, task="segmentation", size=64).labels == ("background", "cell")
    assert load_one(folder, task="detection", size=64).labels == ("cell",)
    lines[1] = "0.png,26,16,540,44,cell"
    (folder / "boxes.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match="reaches out"):
        load_one(folder, task="segmentation")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (("cell", "point", [[400, 30]]), "lies outside"),
        (("cell", "point", [[4, 30], [5, 5]]), "a point of 2"),
        (("cell", "rectangle", [[26, 16], [540, 44]]), "reaches out"),
    ],
)
def test_marks_that_cannot_be(tmp_path, shape, said):
    with pytest.raises(DataError, match=said):
        load_one(labelme(tmp_path / "a", shape), task="segmentation")


def test_a_box_of_the_whole_image_leaves_no_background(tmp_path):
    folder = labelme(tmp_path / "a", ("cell", "rectangle", [[0, 0], [80, 60]]))
    with pytest.raises(DataError, match="background"):
        load_one(folder, task="segmentation")


def test_points_of_background_alone_are_no_class(tmp_path):
    folder = labelme(tmp_path / "a", ("background", "point", [[40, 30]]))
    with pytest.raises(DataError, match="nothing is marked"):
        load_one(folder, task="segmentation")
