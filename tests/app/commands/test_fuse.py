"""`medshot fuse`: models in, one model out, beside the best of them."""

import json
from pathlib import Path

import pytest

from medshot.core.predictor import load_predictor
from toys.commands import SMALL, folder
from toys.fixtures import Medshot


@pytest.fixture
def models(medshot: Medshot, tmp_path: Path) -> list[Path]:
    source = folder(tmp_path / "support", (4, 4))
    found = []
    for name in ("nearest-centroid", "linear-probe"):
        assert medshot("adapt", source, "--learner", name, "--out", tmp_path / name, *SMALL)
        found.append(tmp_path / name)
    return found


@pytest.fixture
def held(tmp_path: Path) -> Path:
    return folder(tmp_path / "held", (6, 6), first=20)


@pytest.mark.parametrize("how", ["mean", "weighted", "stack"])
def test_the_fused_model_predicts_and_is_judged_beside_its_parts(
    medshot: Medshot, models: list[Path], held: Path, tmp_path: Path, how: str
) -> None:
    out, numbers = tmp_path / "both", tmp_path / "numbers.json"
    done = medshot("fuse", *models, "--data", held, "--out", out, "--how", how, "--json", numbers)
    assert done.status == 0, done.err
    assert "fused" in done.out
    record = json.loads(numbers.read_text())
    assert record["how"] == how
    assert set(record["scores"]) == {*map(str, models), "fused"}
    assert "difference" in record["scores"]["fused"]
    stage = load_predictor(out).known_card().stages[-1]
    assert stage["how"] == how
    assert medshot("predict", out, held, "--out", tmp_path / "a.csv").status == 0
    assert not out.with_name("both.unfinished").exists()


def test_snapshots_of_one_model_are_judged_on_other_images(
    medshot: Medshot, models: list[Path], held: Path, tmp_path: Path
) -> None:
    out = tmp_path / "steadier"
    words = ("--how", "snapshots", "--cycles", "2", "--steps", "3", "--test", held)
    done = medshot("fuse", models[0], "--data", tmp_path / "support", "--out", out, *words)
    assert done.status == 0, done.err
    assert "on held" in done.out
    assert load_predictor(out).known_card().stages[-1]["cycles"] == 2


def test_images_that_were_learned_from_are_refused_or_said(
    medshot: Medshot, models: list[Path], tmp_path: Path
) -> None:
    words = ("fuse", *models, "--data", tmp_path / "support", "--out", tmp_path / "both")
    assert medshot(*words).refused("very images that model 1 learned from", "without fitting")
    done = medshot(*words, "--how", "mean")
    assert done.status == 0
    assert "its scores here are too good" in done.out


def test_what_cannot_be_fused_is_one_sentence(
    medshot: Medshot, models: list[Path], held: Path, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "both")
    assert medshot("fuse", models[0], "--data", held, *out).refused("two predictors")
    assert medshot("fuse", *models, "--data", held, *out, "--how", "sum").refused("'sum'")
    assert medshot("fuse", *models, "--data", held, *out, "--lr", "0.1").refused("--lr is for")
    both = ("fuse", *models, "--data", held, *out, "--how", "snapshots")
    assert medshot(*both).refused("of one model, not of 2")
    other = folder(tmp_path / "other", (4, 4), labels=("x", "y"))
    words = ("--learner", "nearest-centroid", "--out", tmp_path / "third", *SMALL)
    assert medshot("adapt", other, *words).status == 0
    done = medshot("fuse", models[0], tmp_path / "third", "--data", held, *out)
    assert done.refused("Model 1 knows bright, dark, and model 2 x, y")
    assert medshot("fuse", *models, "--data", other, *out).refused("labels of the model")
    assert not (tmp_path / "both").exists()
