"""Boxes through the commands: a folder with boxes in, boxes for new images out."""

import json
from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval import COCO
from PIL import Image

import medshot as library
from medshot.core.predictor import load_predictor
from toys.commands import table
from toys.fixtures import Medshot

SMALL = ("--encoder", "intensities", "--set", "encoder.size=48")


def boxed(at: Path, n: int, *, boxes: bool = True, seed: int = 0) -> Path:
    """`n` pictures of 60 x 40 pixels with a bright disc each, of two patients a pair."""
    rng = np.random.default_rng(seed)
    at.mkdir(parents=True)
    images, rows = ["path,patient"], ["path,xmin,ymin,xmax,ymax,label"]
    for i in range(n):
        y, x = np.mgrid[:40, :60]
        row, column = int(rng.integers(9, 31)), int(rng.integers(9, 51))
        disc = (y - row) ** 2 + (x - column) ** 2 <= 36
        pixels = rng.integers(0, 90, (40, 60)) + 150 * disc
        Image.fromarray(pixels.astype(np.uint8)).save(at / f"{i}.png")
        images.append(f"{i}.png,p{i // 2}")
        rows.append(f"{i}.png,{column - 6},{row - 6},{column + 7},{row + 7},disc")
    if boxes:
        (at / "images.csv").write_text("\n".join(images) + "\n")
        (at / "boxes.csv").write_text("\n".join(rows) + "\n")
    return at


@pytest.fixture
def model(medshot: Medshot, tmp_path: Path) -> Path:
    out = ("--out", tmp_path / "model", "--learner", "template")
    done = medshot("adapt", boxed(tmp_path / "set", 6), *out, *SMALL)
    assert done.status == 0, done.err
    assert "AP50" in done.out
    return tmp_path / "model"


def test_adapt_finds_the_boxes_and_predict_writes_them_twice(
    medshot: Medshot, model: Path, tmp_path: Path
) -> None:
    page = (model / "report.html").read_text()
    assert "learned to find disc from 6 labelled images" in page
    assert "Example boxes" in page
    assert "<b>F1 " in page
    new, out = boxed(tmp_path / "new", 3, seed=1), tmp_path / "answers"
    truth = [
        [float(row[s]) for s in ("xmin", "ymin", "xmax", "ymax")]
        for row in table(new / "boxes.csv")
    ]
    (new / "broken.png").write_bytes(b"no image")
    done = medshot("predict", model, new, "--out", out)
    assert done.status == 1
    assert "3 of 4 images predicted" in done.out
    found = load_predictor(model).predict(new / "0.png")
    assert np.abs(found.boxes[0] - truth[0]).max() < 3
    assert (found.labels[0], found.size) == ("disc", (60, 40))
    rows = [row for row in table(out / "boxes.csv") if row["path"].endswith("0.png")]
    written = [[float(row[s]) for s in ("xmin", "ymin", "xmax", "ymax")] for row in rows]
    np.testing.assert_allclose(written, found.boxes, atol=0.01)
    counts = [row["n(disc)"] for row in table(out / "images.csv")]
    assert counts[0] == str(sum(float(row["score"]) >= 0.5 for row in rows))
    assert all(float(row["score"]) >= 0.1 for row in rows)
    assert counts[3] == ""
    _read_back(out / "coco.json", written)


def test_what_is_written_can_be_loaded(medshot: Medshot, model: Path, tmp_path: Path) -> None:
    new = boxed(tmp_path / "new", 2, boxes=False, seed=1)
    assert medshot("predict", model, new, "--out", tmp_path / "answers").status == 0
    text = (tmp_path / "answers" / "boxes.csv").read_text()
    (new / "boxes.csv").write_text(text.replace(f"{new}/", ""))
    assert library.load(new).labels == ("disc",)


def test_evaluate_measures_boxes_beside_the_baseline(medshot: Medshot, tmp_path: Path) -> None:
    file, data = tmp_path / "result.json", boxed(tmp_path / "set", 6)
    brief = ("--data", data, "--shot=2", "--query=2", "--episodes=2", "--json", file)
    done = medshot("evaluate", "nearest-centroid", *brief, *SMALL)
    assert done.status == 0, done.err
    assert set(json.loads(file.read_text())["metrics"]) == {"AP50", "AP", "FROC", "F1"}


def test_points_go_in_and_come_out(medshot: Medshot, tmp_path: Path) -> None:
    folder = boxed(tmp_path / "set", 6)
    rows = table(folder / "boxes.csv")
    lines = [f"{r['path']},{int(r['xmin']) + 6},{int(r['ymin']) + 6},disc" for r in rows]
    (folder / "points.csv").write_text("\n".join(["path,x,y,label", *lines]) + "\n")
    (folder / "boxes.csv").unlink()
    out = ("--out", tmp_path / "model", "--learner", "template", "--point-size", "12")
    done = medshot("adapt", folder, *out, *SMALL)
    assert done.status == 0, done.err
    assert "an AP of" in done.out
    assert "12 pixels across" in done.out
    page = (tmp_path / "model" / "report.html").read_text()
    assert "Mean absolute error an image" in page
    new, answers = boxed(tmp_path / "new", 3, seed=1), tmp_path / "answers"
    done = medshot("predict", tmp_path / "model", new, "--out", answers)
    assert done.status == 0, done.err
    found = {row["path"]: row for row in reversed(table(answers / "points.csv"))}  # the best last
    for row in table(new / "boxes.csv"):
        best = found[str(new / row["path"])]
        assert abs(float(best["x"]) - float(row["xmin"]) - 6.5) < 6
        assert abs(float(best["y"]) - float(row["ymin"]) - 6.5) < 6
    assert len(list((answers / "overlays").iterdir())) == 3
    text = (answers / "points.csv").read_text()
    (new / "boxes.csv").unlink()
    (new / "points.csv").write_text(text.replace(f"{new}/", ""))
    assert library.load(new, point_size=12.0).task.kind == "points"


def _read_back(file: Path, written: list[list[float]]) -> None:
    """By another library."""
    coco = COCO(str(file))
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["disc"]
    first = next(i for i in coco.imgs.values() if i["file_name"].endswith("0.png"))
    assert (first["width"], first["height"]) == (60, 40)
    boxes = np.array([a["bbox"] for a in coco.loadAnns(coco.getAnnIds(imgIds=[first["id"]]))])
    np.testing.assert_allclose(
        boxes[:, 2:], np.array(written)[:, 2:] - np.array(written)[:, :2], atol=0.02
    )
    np.testing.assert_allclose(boxes[:, :2], np.array(written)[:, :2], atol=0.01)
