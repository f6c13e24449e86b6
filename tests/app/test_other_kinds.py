"""Numbers, grades and findings through the commands: a folder in, a table for new images out."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medshot.core.predictor import load_predictor
from toys.commands import SMALL, table
from toys.fixtures import Medshot

COLUMNS = {"regression": "target", "ordinal": "grade", "multi-label": "labels"}
LEADING = {"regression": "R2", "ordinal": "quadratic weighted kappa", "multi-label": "macro AUROC"}
PIXELS = ("--encoder", "pixels", "--set", "encoder.size=16", "--set", "encoder.scaling=unit")
RIDGE = ("--learner", "ridge", *PIXELS)


def shaded(at: Path, kind: str, n: int = 16, seed: int = 0) -> Path:
    """`n` noisy pictures, darker from left to right and from top to bottom as their target says."""
    rng = np.random.default_rng(seed)
    at.mkdir(parents=True)
    rows = [f"path,{COLUMNS[kind]},patient"]
    for i in range(n):
        across, down = (i % 4) / 3, (i // 4 % 2)
        slope = across * np.linspace(-80, 80, 24) + down * np.linspace(-80, 80, 24)[:, None]
        pixels = 120 + slope + rng.integers(-20, 20, (24, 24))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(at / f"{i}.png")
        several = ";".join(["steep"] * (across > 0.5) + ["dark below"] * down)
        cell = {"regression": 50 + 10 * across, "ordinal": i % 4, "multi-label": several}[kind]
        rows.append(f"{i}.png,{cell},p{i // 2}")
    (at / "labels.csv").write_text("\n".join(rows) + "\n")
    return at


@pytest.fixture(params=COLUMNS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def source(tmp_path: Path, kind: str) -> Path:
    return shaded(tmp_path / "set", kind)


def test_adapt_finds_the_kind_and_predict_writes_a_table(
    medshot: Medshot, source: Path, kind: str, tmp_path: Path
) -> None:
    model, out = tmp_path / "model", tmp_path / "answers.csv"
    done = medshot("adapt", source, "--out", model, *RIDGE)
    assert done.status == 0, done.err
    assert re.search(rf"{LEADING[kind]} of (0\.[89]|1\.0)", done.out), done.out
    (source / "broken.png").write_text("no picture")
    done = medshot("predict", model, source, "--out", out)
    assert done.status == 1
    rows = {row["path"].rpartition("/")[2]: row for row in table(out)}
    assert len(rows) == 17
    assert set(rows["broken.png"].values()) == {"", str(source / "broken.png")}
    low, high = rows["0.png"]["prediction"], rows["7.png"]["prediction"]
    if kind == "regression":
        assert 45 < float(low) < 55 < float(high) < 65  # in the unit of the table
    elif kind == "ordinal":
        assert (low, high) == ("0", "3")
        assert float(rows["7.png"]["p(3)"]) > 0.5
    else:
        assert (low, high) == ("", "dark below;steep")


def test_the_report_shows_what_the_kind_has(
    medshot: Medshot, source: Path, kind: str, tmp_path: Path
) -> None:
    assert medshot("adapt", source, "--out", tmp_path / "model", *RIDGE).status == 0
    page = (tmp_path / "model" / "report.html").read_text()
    shown = {"regression": "Answers against the truth", "ordinal": "Confusion matrix"}
    assert shown.get(kind, "Each finding by itself") in page
    assert ("Confidence" in page) == (kind == "ordinal")


def test_a_saved_predictor_knows_its_unit(
    medshot: Medshot, source: Path, kind: str, tmp_path: Path
) -> None:
    assert medshot("adapt", source, "--out", tmp_path / "model", *RIDGE).status == 0
    task = load_predictor(tmp_path / "model").known_card().task
    assert task.kind == kind
    if kind == "regression":
        assert task.centre == pytest.approx((55.0,))  # type: ignore[attr-defined]


def test_train_and_evaluate(medshot: Medshot, source: Path, tmp_path: Path) -> None:
    few = ("--shot=6", "--query=2", "--steps=2", "--val-every=2", "--val-episodes=2")
    run = tmp_path / "run"
    words = ("--set", "lr=0.001", *SMALL, *few, "--encoder", "conv4")
    done = medshot("train", "maml", "--data", source, "--out", run, *words)
    assert done.status == 2, "a fifth of the patients is too few here"
    bigger = shaded(tmp_path / "bigger", kind=_kind(source), n=80, seed=1)
    done = medshot("train", "maml", "--data", bigger, "--out", run, *words)
    assert done.status == 0, done.err
    done = medshot("evaluate", run, "--data", source, "--shot=6", "--query=6", "--episodes=3")
    assert done.status == 0, done.err
    assert "ridge on pixels" in done.out


def _kind(source: Path) -> str:
    header = (source / "labels.csv").read_text().partition("\n")[0]
    return next(kind for kind, column in COLUMNS.items() if column in header.split(","))


def test_a_saved_predictor_is_evaluated_on_others(
    medshot: Medshot, source: Path, kind: str, tmp_path: Path
) -> None:
    assert medshot("adapt", source, "--out", tmp_path / "model", *RIDGE).status == 0
    others, page = shaded(tmp_path / "others", kind, seed=1), tmp_path / "page.html"
    done = medshot("evaluate", tmp_path / "model", "--data", others, "--report", page)
    assert done.status == 0, done.err
    assert LEADING[kind] in done.out
    assert ("sensitivity" in done.out) == (kind != "regression")
    assert "8 patients" in page.read_text()
