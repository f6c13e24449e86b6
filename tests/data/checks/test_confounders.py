""""""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from medshot.data.checks.confounders import ImageInfo, auroc, look, shortcuts
from toys.files import Write

PLAIN = {"height": 64, "width": 64, "bits": 8, "colour": False, "kind": ".png", "digest": ""}


def looks(n: int, **other: object) -> list[ImageInfo]:
    return [ImageInfo(**(PLAIN | other)) for _ in range(n)]


@pytest.mark.parametrize(
    ("name", "other", "said"),
    [
        ("size", {"height": 512, "width": 512}, "long side 512 against long side 64"),
        ("shape", {"width": 48}, "width/height 0.75 against width/height 1.00"),
        ("depth", {"bits": 16}, "16 bits against 8 bits"),
        ("colour", {"colour": True}, "100% in colour against 0% in colour"),
        ("file kind", {"kind": ".jpg"}, "100% JPEG against 0% JPEG"),
    ],
)
@pytest.mark.parametrize("n", [2, 20])
def test_a_class_of_another_form(name: str, other: dict[str, object], said: str, n: int) -> None:
    labels = ["x"] * n + ["y"] * n + ["z"] * n
    (found,) = shortcuts(labels, looks(n) + looks(n, **other) + looks(n))
    assert found.severity == "warning"
    assert f"the {name} of the images tells class 'y'" in found.what
    assert said in found.what
    assert "1.00" in found.what


def test_the_same_mixture_everywhere_is_no_shortcut() -> None:
    mixed = looks(10) + looks(10, colour=True, kind=".jpg", bits=16)
    assert shortcuts(["x"] * 20 + ["y"] * 20, mixed + mixed) == []
    assert shortcuts(["x", "y"], looks(1) + looks(1, bits=16)) == []  # one image says nothing
    assert shortcuts(["x"] * 9, looks(4) + looks(5, bits=16)) == []
    assert shortcuts([], []) == []


def test_sizes_at_random_seldom_alarm() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        sides = rng.integers(50, 500, 20)
        drawn = [look for side in sides for look in looks(1, height=int(side), width=int(side))]
        alarms += bool(shortcuts(["x"] * 10 + ["y"] * 10, drawn))
    assert alarms <= 4


def test_auroc_is_a_count_of_pairs() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 5, 12).astype(float), rng.integers(1, 7, 9).astype(float)
    pairs = [(x > y) + 0.5 * (x == y) for x in a for y in b]
    assert auroc(a, b) == pytest.approx(sum(pairs) / len(pairs))


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
