"""COCO: boxes, polygons and run lengths against their values, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faster_coco_eval.core import mask as oracle

import medshot
from medshot import DataError
from medshot.data.layouts.coco import run_lengths
from medshot.data.readers.segmentation import read_image_and_mask
from toys.layouts import HEIGHT, SPOT, WIDTH, coco_file, spot_picture, spot_truth, write_json

XMIN, YMIN, XMAX, YMAX = SPOT
POLYGON = [XMIN, YMIN, XMAX, YMIN, XMAX, YMAX, XMIN, YMAX]


def _folder(folder: Path, change: Any = None, **changed: Any) -> Path:
    names = [spot_picture(folder / f"{i}.png", i).name for i in range(3)]
    said = coco_file(names, **changed)
    if change:
        change(said)
    write_json(folder / "_annotations.coco.json", said)
    return folder


def test_boxes(tmp_path: Path) -> None:
    data = medshot.load(_folder(tmp_path))
    want = [XMIN / WIDTH, YMIN / HEIGHT, XMAX / WIDTH, YMAX / HEIGHT]
    assert torch.allclose(data.y[:, 0, :4], torch.tensor(want))
    assert data.labels == ("cell",)
    line = "Read as COCO: 3 images, 1 class (cell), 3 boxes from _annotations.coco.json."
    assert line in data.notes


def _masks(folder: Path) -> list[np.ndarray]:
    data = medshot.load(folder, task="segmentation")
    assert data.labels == ("background", "cell")
    return [read_image_and_mask(row)[1] for row in data.rows]


def test_polygons(tmp_path: Path) -> None:
    for mask in _masks(_folder(tmp_path, segmentation=[POLYGON])):
        assert np.array_equal(mask, spot_truth())


@pytest.mark.parametrize("compressed", [True, False])
def test_run_lengths(tmp_path: Path, compressed: bool) -> None:
    packed = oracle.encode(np.asfortranarray(spot_truth()))
    rle = {"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode()}
    if not compressed:
        flat = spot_truth().T.ravel()
        ends = np.flatnonzero(np.diff(flat)) + 1
        rle["counts"] = np.diff([0, *ends, flat.size]).tolist()
    for mask in _masks(_folder(tmp_path, segmentation=rle)):
        assert np.array_equal(mask, spot_truth())


def test_run_lengths_against_another_library(rng: np.random.Generator) -> None:
    mask = (rng.random((31, 17)) > 0.6).astype(np.uint8)
    mask[5:20, 3:9] = 1
    packed = oracle.encode(np.asfortranarray(mask))
    said = {"size": list(mask.shape), "counts": packed["counts"].decode()}
    assert np.array_equal(run_lengths(Path("x"), "x", said, (31, 17)), mask)


def test_crowds_are_left_out_and_counted(tmp_path: Path) -> None:
    def crowd(said: dict[str, Any]) -> None:
        said["annotations"].append({**said["annotations"][0], "id": 99, "iscrowd": 1})

    data = medshot.load(_folder(tmp_path, crowd))
    assert data.counts() == {"cell": 3}
    assert any("1 crowd left out" in note for note in data.notes)


def test_file_names_with_folders(tmp_path: Path) -> None:
    names = [spot_picture(tmp_path / "images" / "a" / f"{i}.png", i).name for i in range(2)]
    said = coco_file([f"a/{name}" for name in names])
    write_json(tmp_path / "annotations" / "instances_default.json", said)
    assert len(medshot.load(tmp_path)) == 2


def test_the_training_file_of_several(tmp_path: Path) -> None:
    for part in ("train", "val"):
        names = [
            spot_picture(tmp_path / f"{part}2017" / f"{part}{i}.png", i).name for i in range(2)
        ]
        write_json(tmp_path / "annotations" / f"instances_{part}2017.json", coco_file(names))
    data = medshot.load(tmp_path)
    assert len(data) == 2
    assert any("left out: valid (2)" in note for note in data.notes)


def test_single_keypoints_are_centers(tmp_path: Path) -> None:
    data = medshot.load(
        _folder(tmp_path, bbox=[0, 0, 0, 0], keypoints=[12, 11, 2]), point_size=10.0
    )
    assert data.task.kind == "points"
    middle = (data.y[0, 0, :2] + data.y[0, 0, 2:4]) / 2
    assert middle.tolist() == pytest.approx([12 / WIDTH, 11 / HEIGHT])


def _mix(said: dict[str, Any]) -> None:
    said["annotations"][0].update(bbox=[], keypoints=[12, 11, 2])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_mix, "1 point and 2 boxes or areas are mixed"),
        (
            lambda said: said["annotations"][0].update(bbox=[], keypoints=[1, 1, 2, 3, 3, 2]),
            "not one keypoint",
        ),
    ],
)
def test_points_among_boxes_and_skeletons_are_refused(
    tmp_path: Path, change: Any, match: str
) -> None:
    with pytest.raises(DataError, match=match):
        medshot.load(_folder(tmp_path, change))


def _set(place: str, key: str, value: Any) -> Any:
    return lambda said: said[place][0].update({key: value})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_set("images", "file_name", "../../etc/passwd"), "outside of the folder"),
        (_set("images", "file_name", "gone.png"), "gone.png is listed and is not in the folder"),
        (_set("images", "file_name", 3), "name of an image is 3"),
        (_set("images", "width", 500), "500 x 40 there, and the file is 50 x 40"),
        (_set("images", "id", [1]), "an id is"),
        (_set("annotations", "bbox", [1, 2, 3]), "not a list of 4 numbers"),
        (_set("annotations", "bbox", [1, 2, 0, 3]), "has no size"),
        (_set("annotations", "bbox", [40, 2, 30, 3]), "reaches out of its image"),
        (_set("annotations", "bbox", ["a", 2, 30, 3]), "'a' is no number"),
        (_set("annotations", "bbox", [float("nan"), 2, 30, 3]), "is no number"),
        (_set("annotations", "category_id", 8), "category_id 8, which is not in the list"),
        (_set("annotations", "image_id", 8), "image_id 8, which is not in the list"),
        (_set("annotations", "segmentation", [[1, 2, 3]]), "is no polygon"),
        (_set("annotations", "segmentation", [[1, 2] * 200_000]), "At most"),
        (_set("annotations", "segmentation", 4), "its segmentation is 4"),
        (_set("categories", "name", None), "the class is"),
        (lambda said: said["images"].append(said["images"][0]), "two images have the id 0"),
        (lambda said: said["annotations"].clear(), "nothing is marked"),
        (lambda said: said["annotations"].append([]), "an annotation is"),
    ],
)
def test_what_is_refused_names_the_file(tmp_path: Path, change: Any, match: str) -> None:
    folder = _folder(tmp_path, change)
    with pytest.raises(DataError, match=match) as error:
        medshot.load(folder)
    assert "_annotations.coco.json" in str(error.value)
    assert match.split(maxsplit=1)[0] in str(medshot.check(folder).errors[0])


@pytest.mark.parametrize(
    ("rle", "match"),
    [
        ({"size": [HEIGHT, WIDTH], "counts": [5, 6]}, "do not fill"),
        ({"size": [HEIGHT, WIDTH], "counts": [10**18, -5]}, "do not fill"),
        ({"size": [WIDTH, HEIGHT], "counts": [2000]}, "are for 40 x 50 pixels"),
        ({"size": [HEIGHT, WIDTH], "counts": "\x7f\x80"}, "its run lengths hold"),
        ({"counts": "0"}, "size|list of 2 numbers"),
    ],
)
def test_run_lengths_that_do_not_fit(tmp_path: Path, rle: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        medshot.load(_folder(tmp_path, segmentation=rle), task="segmentation")


def test_what_is_no_json(tmp_path: Path) -> None:
    _folder(tmp_path)
    (tmp_path / "_annotations.coco.json").write_text('{"images": [')
    with pytest.raises(DataError, match="it is not JSON"):
        medshot.load(tmp_path)
