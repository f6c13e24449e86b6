"""Masks through the commands: a folder with masks in, masks for new images out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medshot.api import resolve
from medshot.core.prediction import MaskPrediction
from medshot.core.predictor import load_predictor
from medshot.data.io.image import read_mask
from medshot.learners.baselines.finetune import FineTune
from medshot.nn import encoder
from medshot.presenters.segmentation import MaskAnswers
from toys.commands import table
from toys.fixtures import Medshot

LABELS = ("background", "lesion")
SMALL = ("--encoder", "filters", "--set", "encoder.size=32")


def marked(at: Path, n: int, *, masks: bool = True, seed: int = 0) -> Path:
    """`n` pictures of 30 x 24 pixels of two patients a pair, a bright disc marked on each."""
    rng = np.random.default_rng(seed)
    at.mkdir(parents=True)
    rows = ["path,mask,patient"]
    for i in range(n):
        y, x = np.mgrid[:30, :24]
        disc = (y - rng.integers(9, 21)) ** 2 + (x - rng.integers(8, 16)) ** 2 < 36
        pixels = rng.integers(0, 90, (30, 24)) + 150 * disc
        Image.fromarray(pixels.astype(np.uint8)).save(at / f"{i}.png")
        if masks:
            (at / "masks").mkdir(exist_ok=True)
            Image.fromarray(disc.astype(np.uint8)).save(at / "masks" / f"{i}.png")
            rows.append(f"{i}.png,masks/{i}.png,p{i // 2}")
    if masks:
        (at / "labels.csv").write_text("\n".join(rows) + "\n")
    return at


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return marked(tmp_path_factory.mktemp("cells") / "set", 8)


@pytest.fixture
def model(medshot: Medshot, cells: Path, tmp_path: Path) -> Path:
    done = medshot("adapt", cells, "--out", tmp_path / "model", "--learner", "linear-probe", *SMALL)
    assert done.status == 0, done.err
    assert "Dice" in done.out
    return tmp_path / "model"


def test_adapt_finds_the_masks_and_reports_on_them(model: Path) -> None:
    page = (model / "report.html").read_text()
    assert "Example masks" in page
    assert "Dice" in page
    assert "onfusion matrix" not in page


def test_predict_writes_masks_on_the_grid_of_the_files(
    medshot: Medshot, model: Path, tmp_path: Path
) -> None:
    new = marked(tmp_path / "new", 3, masks=False, seed=1)
    (new / "broken.png").write_bytes(b"no image")
    done = medshot("predict", model, new, "--out", tmp_path / "answers")
    assert done.status == 1
    assert "3 of 4 images predicted" in done.out
    assert "broken.png" in done.err
    rows = table(tmp_path / "answers" / "answers.csv")
    assert [row["mask"] for row in rows] == ["0.png", "1.png", "2.png", ""]
    found = read_mask(tmp_path / "answers" / "0.png")
    assert found.shape == (30, 24)
    assert np.array_equal(found, load_predictor(model).predict(new / "0.png").mask)
    shares = [float(rows[0][f"share({label})"]) for label in ("background", "foreground")]
    assert shares == pytest.approx([(found == 0).mean(), (found == 1).mean()], abs=1e-6)
    with Image.open(tmp_path / "answers" / "0.png") as image:  # in color for viewers
        assert image.mode == "P"
        assert image.getpalette()[3:6] == [230, 159, 0]
    with Image.open(tmp_path / "answers" / "overlays" / "0.png") as image:
        assert image.height > 256
        assert len(image.getcolors(2**16)) > 9
    again = medshot("predict", model, new, "--out", tmp_path / "answers")
    assert again.refused("answers")
    assert medshot("predict", model, new, "--out", tmp_path / "more", "--skip-bad").status == 0


def test_the_masks_of_a_labelled_folder_are_not_answered(
    medshot: Medshot, model: Path, cells: Path, tmp_path: Path
) -> None:
    done = medshot("predict", model, cells, "--out", tmp_path / "answers")
    assert "8 of 8 images predicted" in done.out


def test_two_images_of_one_name_get_two_masks(tmp_path: Path) -> None:
    answers = MaskAnswers(tmp_path / "out", LABELS)
    empty, full = np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)
    for name, mask in (("a/x", empty), ("b/x", empty), ("c/X", full), ("y" * 251, empty)):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.arange(4, dtype=np.uint8).reshape(2, 2)).save(path)
        answers.add(MaskPrediction(str(path), mask, LABELS))
    answers.close()
    *names, long = [row["mask"] for row in table(tmp_path / "out" / "answers.csv")]
    assert (tmp_path / "out" / long).exists()
    assert names == ["x.png", "x_2.png", "X_3.png"]
    assert read_mask(tmp_path / "out" / "X_3.png").tolist() == [[1, 1], [1, 1]]


def test_auto_chooses_for_masks(
    medshot: Medshot, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = resolve.build("linear-probe", encoder=encoder("filters", scales=[1.0]))
    monkeypatch.setattr(FineTune, "learn", lambda _, support, task: fast.learn(support, task))
    done = medshot("adapt", cells, "--out", tmp_path / "model")
    assert done.status == 0, done.err
    assert "of 5 candidates, auto chose" in " ".join(done.out.split())


def test_evaluate_and_train_take_masks(medshot: Medshot, cells: Path, tmp_path: Path) -> None:
    small = ("--set", "encoder.size=16", "--set", "encoder.width=4", "--set", "encoder.depth=1")
    brief = ("--shot=1", "--query=1")
    many = marked(tmp_path / "many", 20)
    done = medshot(
        *("train", "prototypical", "--data", many, "--out", tmp_path / "run", *small, *brief),
        *("--steps=2", "--val-episodes=2"),
    )
    assert done.status == 0, done.err
    file = tmp_path / "result.json"
    fresh = marked(tmp_path / "fresh", 6, seed=3)
    done = medshot(
        *("evaluate", tmp_path / "run", "--data", fresh, *brief, "--episodes=2", "--json", file)
    )
    assert done.status == 0, done.err
    assert "linear-probe on filters" in done.out
    found = json.loads(file.read_text())
    assert set(found["metrics"]) == {"Dice", "IoU"}
    assert len(found["baselines"]) == 3


def test_what_does_no_masks_says_so(medshot: Medshot, cells: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "model")
    assert medshot("adapt", cells, *out, "--learner", "svm", *SMALL).refused("segmentation")
    assert medshot("adapt", cells, *out, "--task", "singing").refused("singing", "segmentation")
    done = medshot("adapt", cells, *out, "--learner", "ridge", "--encoder", "conv4")
    assert done.refused("image as a whole")
    assert medshot("evaluate", "ridge", "--data", cells, "--way=2").refused("--way is for labels")
