"""Which layout a folder has, and that every reader takes its images from one place."""

from pathlib import Path

import numpy as np
import pytest

import medshot
from medshot import DataError
from medshot.data.layouts.recognize import content_of, listed, masks_of
from toys.layouts import coco_file, spot_mask, spot_picture, write_json


def _coco(folder: Path) -> Path:
    names = [spot_picture(folder / f"{i}.png", i).name for i in range(3)]
    write_json(folder / "_annotations.coco.json", coco_file(names))
    return folder


def test_our_tables_come_first(tmp_path: Path) -> None:
    _coco(tmp_path)
    rows = "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(3))
    (tmp_path / "labels.csv").write_text(f"path,label\n{rows}")
    assert content_of(tmp_path) is None
    assert medshot.load(tmp_path).counts() == {"a": 2, "b": 1}


def test_two_annotations_are_refused(tmp_path: Path) -> None:
    _coco(tmp_path)
    for i in range(3):
        (tmp_path / f"{i}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(DataError, match=r"COCO .* YOLO"):
        medshot.load(tmp_path)


def test_a_changed_folder_is_read_again(tmp_path: Path) -> None:
    _coco(tmp_path)
    assert len(medshot.load(tmp_path)) == 3
    spot_picture(tmp_path / "3.png", 3)
    write_json(tmp_path / "_annotations.coco.json", coco_file([f"{i}.png" for i in range(4)]))
    assert len(medshot.load(tmp_path)) == 4


def test_another_task_than_the_layout_has(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing in it is for this task"):
        medshot.load(_coco(tmp_path), task="classification")


def test_boxes_are_made_to_masks_where_these_are_asked(tmp_path: Path) -> None:
    data = medshot.load(_coco(tmp_path), task="segmentation")
    assert data.task.kind == "segmentation"
    assert len(data) == 3


def test_an_error_is_a_finding_of_the_check(tmp_path: Path) -> None:
    (_coco(tmp_path) / "1.png").unlink()
    (error,) = medshot.check(tmp_path).errors
    assert error.file == tmp_path / "_annotations.coco.json"
    assert "1.png" in error.what


def test_masks_that_predict_leaves_out(tmp_path: Path) -> None:
    want = set()
    for i in range(2):
        spot_picture(tmp_path / f"{i}.png", i)
        want |= {spot_mask(tmp_path / f"{i}_{name}.png") for name in ("liver", "spleen")}
    assert masks_of(tmp_path) == want


def test_every_door_reads_boxes_of_coco(tmp_path: Path) -> None:
    learned, held = _coco(tmp_path / "a"), tmp_path / "b"
    names = [spot_picture(held / f"{i}.png", 50 + i).name for i in range(3)]
    write_json(held / "boxes.json", coco_file(names))
    learner = medshot.build("template", encoder=medshot.encoder("intensities"))
    predictor = learner.adapt(medshot.load(learned))
    assert not medshot.check(held).errors
    assert len(medshot.load(held)) == 3
    assert len(predictor.predict_folder(held)) == 3
    assert "AP50" in str(medshot.evaluate(predictor, data=held))


def test_a_folder_of_nothing(tmp_path: Path) -> None:
    (error,) = listed(tmp_path).findings
    assert "it holds no images" in error.what
    (tmp_path / "x.bmp").write_bytes(np.zeros(5, np.uint8).tobytes())
    (error,) = listed(tmp_path).findings
    assert "there is 1 .bmp" in error.what
