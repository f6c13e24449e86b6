"""Enhancement through the commands: pairs in, enhanced images out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medshot.api import resolve
from toys.fixtures import Medshot
from toys.pairs import pairs

FINE = ("--encoder", "filters", "--set", "encoder.scaling=unit", "--set", "encoder.size=32")
SMALL = ("--set", "encoder.size=16", "--set", "encoder.width=8", "--set", "encoder.depth=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pairs(tmp_path_factory.mktemp("pairs") / "set", 8)


@pytest.fixture
def model(medshot: Medshot, folder: Path, tmp_path: Path) -> Path:
    given = ("--out", tmp_path / "model", "--learner", "residual-ridge", *FINE)
    done = medshot("adapt", folder, *given)
    assert done.status == 0, done.err
    assert "to make images look like their targets" in done.out
    assert "better than identity on as-is" in done.out
    return tmp_path / "model"


def test_the_report_shows_images_answers_and_targets(model: Path) -> None:
    page = (model / "report.html").read_text()
    for said in ("Example images", "Wanted", "PSNR (dB)", "one crop of 32 x 32", "keep the"):
        assert said in page
    assert "none of the classes" not in page
    assert "keep the" in (model / "README.md").read_text()


def test_predict_writes_whole_images_that_are_nearer_to_the_truth(
    medshot: Medshot, model: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    given = (model, folder / "0.png", tmp_path / "broken.png", "--out", tmp_path / "answers")
    done = medshot("predict", *given)
    assert done.status == 1
    assert "1 of 2 images predicted" in done.out
    found, noisy, clean = (
        np.asarray(Image.open(path)).astype(float)
        for path in (tmp_path / "answers/0.png", folder / "0.png", folder / "clean/0.png")
    )
    assert found.shape == clean.shape
    assert np.abs(found - clean).mean() < 0.7 * np.abs(noisy - clean).mean()


def test_evaluate_measures_beside_doing_nothing(
    medshot: Medshot, folder: Path, tmp_path: Path
) -> None:
    numbers = ("--shot", "2", "--query", "2", "--episodes", "2", "--json", tmp_path / "r.json")
    done = medshot("evaluate", "finetune", "--data", folder, *SMALL, "--set", "steps=2", *numbers)
    assert done.status == 0, done.err
    found = json.loads((tmp_path / "r.json").read_text())
    assert set(found["metrics"]) == {"PSNR (dB)", "SSIM"}
    named = [other["learner"] for other in found["baselines"]]
    assert named == ["residual-ridge on dncnn", "identity on as-is"]


def test_train_and_then_adapt_a_run(medshot: Medshot, tmp_path: Path) -> None:
    folder, run = pairs(tmp_path / "set", 20), tmp_path / "run"
    numbers = ("--shot", "1", "--query", "1", "--steps", "2", "--val-every", "2")
    done = medshot(
        "train", "fomaml", "--data", folder, "--out", run, *SMALL, *numbers, "--val-episodes", "2"
    )
    assert done.status == 0, done.err
    done = medshot("adapt", folder, "--learner", run, "--out", tmp_path / "model")
    assert done.status == 0, done.err
    assert "Its scores here are too good. This run was meta-trained on" in done.out


def test_one_pair_cannot_be_judged_and_says_so(medshot: Medshot, tmp_path: Path) -> None:
    one = pairs(tmp_path / "one", 1)
    given = ("--out", tmp_path / "model", "--learner", "residual-ridge", *FINE)
    done = medshot("adapt", one, *given)
    assert done.status == 0, done.err
    assert "could not be measured" in done.out
    assert "not been measured" in done.out


def test_auto_tries_filters_and_a_network() -> None:
    described = [resolve.describe(c) for c in resolve.automatic(kind="enhancement").candidates]
    assert described == ["residual-ridge on filters", "finetune on dncnn"]
