"""What a report shows of enhanced images: the worst first."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from medshot.core.prediction import ImagePrediction
from medshot.data.load import load
from medshot.evaluation.cross_validation import OutOfFold
from medshot.presenters.enhancement import ImageAnswers, image_examples, support_of_images
from toys.pairs import pairs


@pytest.fixture
def dataset(tmp_path):
    return load(pairs(tmp_path / "set", 8), channels=1, size=24)


def test_those_that_lost_most_come_first(dataset):
    mixed = np.linspace(0, 1, 8)[:, None, None, None]  # the last answers are the targets
    given = dataset.examples()
    decoded = (mixed * given.y.numpy() + (1 - mixed) * given.x.numpy()).astype(float)
    decoded[3] = 0
    everyone = torch.arange(8).numpy()
    found = OutOfFold(decoded, given.y.numpy(), everyone, 5, dataset.task, 0 * everyone)
    shown = image_examples(dataset, found)
    assert len(shown) == 6
    assert [each.name for each in shown[:3]] == ["3.png", "0.png", "1.png"]
    assert shown[0].patient == "p1"
    after, before = shown[0].scores["PSNR (dB)"]
    assert after < before
    nothing = shown[1].scores["SSIM"]
    assert nothing[0] == pytest.approx(nothing[1])
    assert np.array_equal(shown[1].answer, shown[1].pixels)


def test_the_support_is_shown_in_pairs(dataset):
    found = support_of_images(dataset)
    assert found.n_images == 8
    assert found.n_patients == 4
    assert {heading: len(each) for heading, each in found.by_label().items()} == {
        "Images": 6,
        "Targets": 6,
    }
    assert "targets" in found.goal


# The folder of enhanced images.


@pytest.mark.parametrize(
    ("dtype", "channels", "name"),
    [
        (np.uint8, 1, "a.png"),
        (np.uint8, 3, "a.png"),
        (np.uint16, 1, "a.png"),
        (np.uint16, 3, "a.tif"),
        (np.float32, 1, "a.tif"),
    ],
)
def test_what_is_written_is_what_was_answered(
    tmp_path: Path, dtype: type, channels: int, name: str
) -> None:
    pixels = np.random.default_rng(0).integers(0, 200, (5, 6, channels)).astype(dtype)
    answers = ImageAnswers(tmp_path / "out")
    answers.add(ImagePrediction("x/a.jpg", pixels))
    answers.close()
    path = tmp_path / "out" / name
    found = tifffile.imread(path) if name.endswith(".tif") else np.asarray(Image.open(path))
    assert found.dtype == dtype
    assert np.array_equal(found.reshape(pixels.shape), pixels)
    assert (tmp_path / "out" / "answers.csv").read_text() == f"path,image\nx/a.jpg,{name}\n"


def test_names_are_kept_apart_and_what_was_not_read_has_a_row(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 1), np.uint8)
    answers = ImageAnswers(tmp_path / "out")
    for path in ("x/a.png", "y/A.png"):
        answers.add(ImagePrediction(path, pixels))
    answers.add_unread(Path("z/=b.png"))
    answers.close()
    rows = (tmp_path / "out" / "answers.csv").read_text().splitlines()
    assert rows[1:] == ["x/a.png,a.png", "y/A.png,A_2.png", "z/=b.png,"]
    assert answers.unread == 1
