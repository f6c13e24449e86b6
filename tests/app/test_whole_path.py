"""Train, adapt, predict, evaluate: on phantoms, and on real images where there are some."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from medshot.core.predictor import load_predictor
from medshot.data.load import load_one
from medshot.phantoms import PhantomEpisodes, phantom_dataset
from toys.commands import SMALL, table
from toys.fixtures import Medshot

STEPS = ("--way=2", "--shot=1", "--query=1", "--steps=4", "--val-every=2", "--val-episodes=2")


def test_on_phantoms(medshot: Medshot, tmp_path: Path) -> None:
    folders = [_phantoms(tmp_path / f"set{i}", i) for i in range(3)]
    _all_the_way(medshot, tmp_path, folders)


def test_on_real_images(medshot: Medshot, tmp_path: Path, real_data: Path) -> None:
    names = ("cls_head_ct_hemorrhage", "cls_pneumonia_mnist", "cls_covid_cxr")
    folders = [_few(real_data / name, tmp_path / name) for name in names]
    _all_the_way(medshot, tmp_path, folders)


def _all_the_way(medshot: Medshot, place: Path, folders: list[Path]) -> None:
    run, model, answers = place / "run", place / "model", place / "answers.csv"
    *seen, mine = folders
    trained = medshot("train", "prototypical", "--data", *seen, "--out", run, *SMALL, *STEPS)
    assert trained.status == 0, trained.err
    assert {"run.json", "checkpoint.safetensors"} <= {path.name for path in run.iterdir()}

    adapted = medshot("adapt", mine, "--learner", run, "--out", model)
    assert adapted.status == 0, adapted.err
    assert sorted(path.name for path in model.iterdir()) == [
        *("README.md", "predictor.json", "report.html", "weights.safetensors")
    ]
    assert "prototypical on conv4 (meta-trained)" in adapted.out
    assert "linear probe" in adapted.out
    about = json.loads((model / "predictor.json").read_text())
    assert about["learner"]["origin"].startswith("meta-trained on")

    images = sorted(mine.rglob("*.png"))
    predicted = medshot("predict", model, images[0], images[1], "--out", answers)
    assert predicted.status == 0, predicted.err
    assert medshot("predict", model, mine, "--out", place / "all.csv").status == 0
    rows, predictor = table(place / "all.csv"), load_predictor(model)
    assert table(answers) == rows[:2]
    assert len(rows) == len(images)
    labels = load_one(mine).labels
    assert list(rows[0]) == [
        "path",
        "prediction",
        "confidence",
        *(f"p({label})" for label in labels),
    ]
    for row in rows[:3]:
        answer = predictor.predict(row["path"])
        assert row["prediction"] == answer.label
        assert float(row["confidence"]) == pytest.approx(answer.confidence, abs=1e-6)

    few = ("--shot=2", "--query=2", "--episodes=3")
    measured = medshot("evaluate", run, "--data", mine, *few, "--json", place / "result.json")
    assert measured.status == 0, measured.err
    assert json.loads((place / "result.json").read_text())["minus_baseline"]
    assert medshot("evaluate", run, "--data", seen[0], *few).refused("meta-trained")
    assert medshot("data", "check", mine).status == 0


def _phantoms(at: Path, i: int) -> Path:
    task = PhantomEpisodes(way=2, size=16, seed=i).task(0)
    dataset = phantom_dataset(task, 10, images_per_patient=1)
    at.mkdir()
    rows = []
    for n in range(len(dataset)):
        path = f"{n:02d}.png"
        Image.fromarray(dataset.x[n].permute(1, 2, 0).numpy()).save(at / path)
        rows.append((path, dataset.labels[dataset.y[n]], int(dataset.groups[n])))
    _write(at, rows)
    return at


def _few(source: Path, at: Path, count: int = 10) -> Path:
    """The first images of other patients of each class of a real set, as PNG."""
    at.mkdir()
    rows: list[tuple[str, str, str]] = []
    with (source / "labels.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            patient = next(
                (v for k, v in row.items() if k.startswith("patient") and v), row["path"]
            )
            enough = sum(label == row["label"] for _, label, _ in rows) >= count
            if enough or patient in {p for _, _, p in rows}:
                continue
            name = f"{len(rows):02d}.png"
            if row["path"].endswith(".png"):
                shutil.copy(source / row["path"], at / name)
            else:
                Image.open(source / row["path"]).save(at / name)
            rows.append((name, row["label"], patient))
    _write(at, rows)
    return at


def _write(at: Path, rows: list[tuple[str, str, object]]) -> None:
    with (at / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "patient"), *rows])
