from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from medshot.data.checks.confounders import look
from toys.files import Write


def test_form(write: Write, tmp_path: Path, rng: np.random.Generator) -> None:
    seen = look(write("a.png", (6, 9, 3)))
    assert (seen.height, seen.width, seen.bits, seen.colour, seen.kind) == (6, 9, 8, True, ".png")
    tifffile.imwrite(tmp_path / "a.tif", rng.integers(0, 999, (6, 9)).astype(np.uint16))
    seen = look(tmp_path / "a.tif")
    assert (seen.bits, seen.colour, seen.kind) == (16, False, ".tif")
    assert seen.named(Path("b.TIFF"))
    assert not seen.named(Path("b.png"))


def test_grey_saved_as_colour_is_grey_and_the_same_image(write: Write, tmp_path: Path) -> None:
    grey = write("a.png")
    with Image.open(grey) as image:
        image.convert("RGB").save(tmp_path / "b.tif")
    one, other = look(grey), look(tmp_path / "b.tif")
    assert not other.colour
    assert one.digest == other.digest != look(write("c.png")).digest


def test_the_kind_is_by_content(write: Write) -> None:
    path = write("a.jpg")
    seen = look(path.rename(path.with_suffix(".png")))
    assert seen.kind == ".jpg"
    assert seen.named(path)
    assert not seen.named(path.with_suffix(".png"))
