"""Small folders of images, written by the tests that need them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toys.files import Write


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def write(tmp_path: Path, rng: np.random.Generator) -> Write:
    """`write("a/1.png")` puts a random grey image there; `shape` and `dtype` as asked."""

    def image(name: str, shape: tuple[int, ...] = (12, 10), folder: Path = tmp_path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
        return path

    return image


@pytest.fixture
def table(tmp_path: Path, write: Write) -> Write:
    """`table("a.png,x", "b.png,y")` writes labels.csv with these rows, and their images."""

    def rows(*lines: str, columns: str = "path,label", images: bool = True) -> Path:
        for line in lines:
            name = line.split(",")[0]
            if images and name and not (tmp_path / name).exists():
                write(name)
        (tmp_path / "labels.csv").write_text("\n".join((columns, *lines)) + "\n")
        return tmp_path

    return rows
