"""Predicted masks to LabelMe files and back: what was saved there is learned from."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

import medshot
from medshot.core import DataError, MaskPrediction
from medshot.data.layouts.recognize import listed
from medshot.presenters.labelme import write_labelme

LABELS = ("background", "cell", "nucleus")


def predicted(folder: Path, stem: str, mask: np.ndarray) -> tuple[Path, Path]:
    """An image and the LabelMe file of a mask on it."""
    home = folder / "images"
    home.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(stem))
    path = home / f"{stem}.png"
    Image.fromarray(rng.integers(0, 255, mask.shape, dtype=np.uint8)).save(path)
    out = folder / "labelme"
    out.mkdir(exist_ok=True)
    return path, write_labelme(MaskPrediction(str(path), mask, LABELS), out, stem)


def saved(file: Path) -> None:
    """As LabelMe does when it saves."""
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": "5.4.1"}))


def blobs(seed: int = 0) -> np.ndarray:
    """Round things of two classes, one with a hole, one of which touches itself at a corner."""
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(80, 100)), 5)
    mask = np.where(field > 0.05, 1, 0) + np.where(field < -0.06, 2, 0)
    mask[30:50, 40:60], mask[36:44, 46:54] = 1, 0
    mask[:12, :12] = 0
    mask[2:6, 2:6] = mask[6:9, 6:9] = 2
    mask[2:8, 6:8] = mask[7, 2:8] = 2
    return mask.astype(np.uint8)


def test_objects_come_back_within_a_pixel(tmp_path: Path):
    mask = blobs()
    _, file = predicted(tmp_path, "a", mask)
    kinds = {shape["shape_type"] for shape in json.loads(file.read_text())["shapes"]}
    assert kinds == {"polygon", "mask"}
    saved(file)
    (row,) = listed(tmp_path / "labelme", "mask").rows
    again = row.draw(mask.shape)
    for c in (1, 2):
        a, b = again == c, mask == c
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.97


def test_only_what_was_saved_in_labelme_is_learned_from(tmp_path: Path):
    files = [predicted(tmp_path, f"a{'x' * i}", blobs(i))[1] for i in range(3)]
    with pytest.raises(DataError, match="none was saved"):
        medshot.load(tmp_path / "labelme", task="segmentation")
    saved(files[1])
    data = medshot.load(tmp_path / "labelme", task="segmentation")
    assert [row.path.name for row in data.rows] == ["ax.png"]
    assert any("2 predictions" in note for note in data.notes)


def test_a_corrected_mask_takes_the_place_of_the_first_one(tmp_path: Path):
    first = tmp_path / "first"
    first.mkdir()
    lines = ["path,mask"]
    for i in range(4):
        path, file = predicted(tmp_path, f"a{'x' * i}", blobs(i))
        (first / path.name).write_bytes(path.read_bytes())
        wrong = np.roll(blobs(i), 9, 1)
        Image.fromarray(wrong).save(first / f"m{i}.png")
        lines.append(f"{path.name},m{i}.png")
        if i == 2:
            saved(file)
    (first / "labels.csv").write_text("\n".join(lines))
    (first / "classes.csv").write_text("number,name\n1,cell\n2,nucleus\n")
    found = medshot.adapt(
        [first, tmp_path / "labelme"],
        "nearest-centroid",
        encoder="filters",
        options=["encoder.size=32"],
        task="segmentation",
    )
    card = found.predictor.known_card()
    assert card.labels == LABELS
    assert len(card.data["files"]) == 4
    assert any("1 image(s) are in several" in warning for warning in found.report.warnings)
