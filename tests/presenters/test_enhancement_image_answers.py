"""The folder of enhanced images."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from medshot.core.prediction import ImagePrediction
from medshot.presenters.enhancement import ImageAnswers


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
