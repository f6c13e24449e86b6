"""The parts of a data set are not learned as classes."""

from pathlib import Path

import pytest

import medshot
from medshot import DataError
from toys.layouts import spot_picture


def test_an_export_of_yolo_in_parts_is_read_as_boxes(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        for i in range(6):
            spot_picture(tmp_path / part / "images" / f"{part}_{i}.png", i)
            text = tmp_path / part / "labels" / f"{part}_{i}.txt"
            text.parent.mkdir(exist_ok=True)
            text.write_text("0 0.5 0.5 0.2 0.25\n")
    (tmp_path / "data.yaml").write_text("nc: 1\nnames: [cell]\n")
    data = medshot.load(tmp_path)
    assert data.labels == ("cell",)
    assert data.counts() == {"cell": 6}
    assert data.y[0, 0, :4].tolist() == pytest.approx([0.4, 0.375, 0.6, 0.625])
    assert any("only train is read" in note and "valid (6)" in note for note in data.notes)
    assert medshot.load(tmp_path / "valid").labels == ("cell",)  # by data.yaml above it


def test_parts_of_images_alone_are_refused(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        for i in range(3):
            spot_picture(tmp_path / part / f"{i}.png", i)
    (error,) = medshot.check(tmp_path).errors
    assert "parts, not classes" in error.what
    with pytest.raises(DataError, match="parts, not classes"):
        medshot.load(tmp_path)


def test_parts_with_classes_are_read_as_classes(tmp_path: Path) -> None:
    places = [f"{part}/{label}" for part in ("train", "val", "test") for label in ("cat", "dog")]
    for n, place in enumerate(2 * places):
        spot_picture(tmp_path / place / f"{n}.png", n)
    data = medshot.load(tmp_path)
    assert data.counts() == {"cat": 2, "dog": 2}
    assert all("/train/" in str(row.path) for row in data.rows)
    assert any("left out: test (4), valid (4)" in note for note in data.notes)
