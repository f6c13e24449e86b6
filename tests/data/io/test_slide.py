"""Tiles of a slide against the pixels that were written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openslide
import pytest

from medshot.core.errors import ConfigError, DataError
from medshot.data.io.slide import Slide
from toys.slides import SCAN, scene, write_slide


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slide(tmp_path_factory.mktemp("slide") / "a.tif", scene())


def test_tiles_at_the_size_of_the_scan(path: Path) -> None:
    slide, values = Slide(path, mpp=SCAN, size=200), scene()
    assert (slide.rows, slide.columns, len(slide)) == (5, 6, 30)
    for index, tile in enumerate(slide):
        assert (tile.top, tile.left) == (200 * (index // 6), 200 * (index % 6))
        expected = np.full((200, 200, 3), 255)
        part = values[tile.top : tile.top + 200, tile.left : tile.left + 200]
        expected[: part.shape[0], : part.shape[1]] = part
        np.testing.assert_array_equal(tile.pixels, expected)
    np.testing.assert_array_equal(slide[-1].pixels, slide[29].pixels)
    with pytest.raises(IndexError):
        slide[30]


@pytest.mark.parametrize("levels", [1, 3])
def test_a_coarser_pixel_is_the_mean_of_its_area(tmp_path: Path, levels: int) -> None:
    slide = Slide(write_slide(tmp_path / "a.tif", scene(), levels), mpp=4 * SCAN, size=50)
    tile = slide[slide.columns * 1 + 2]  # from row 200 and column 400
    part = scene()[200:400, 400:600].reshape(50, 4, 50, 4, 3).mean((1, 3))
    np.testing.assert_array_equal(tile.pixels, np.rint(part))


def test_half_a_pixel_does_not_add_up(path: Path) -> None:
    slide = Slide(path, mpp=0.3, size=64)  # 76.8 pixels of the scan
    assert (slide.rows, slide.columns) == (12, 15)
    assert slide[slide.columns - 1].left == int(14 * 76.8)


def test_glass_is_skipped(path: Path) -> None:
    found = [(tile.top, tile.left) for tile in Slide(path, mpp=SCAN, size=100).tissue()]
    assert found == [(y, x) for y in range(200, 600, 100) for x in range(300, 900, 100)]


def test_the_size_of_a_pixel_must_be_known(tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.tif", scene(300, 300), mpp=None)
    with pytest.raises(DataError, match=r"a\.tif.* how large a pixel"):
        Slide(path)
    assert len(Slide(path, mpp=0.5, size=50, scanned_at=0.25)) == 9


def cut(path: Path) -> None:
    write_slide(path, scene())
    path.write_bytes(path.read_bytes()[:-2000])


BAD = [
    (lambda path: None, "does not exist"),
    (lambda path: path.write_bytes(b""), "no slide that openslide knows"),
    (lambda path: path.write_bytes(b"\x89PNG" + bytes(300)), "no slide that openslide knows"),
    (cut, "damaged or truncated"),
]


@pytest.mark.parametrize(("write", "said"), BAD)
def test_bad_files_are_refused(tmp_path: Path, write: Callable[[Path], object], said: str) -> None:
    write(tmp_path / "a.svs")
    with pytest.raises(DataError) as caught:
        list(Slide(tmp_path / "a.svs", mpp=SCAN))
    assert str(tmp_path / "a.svs") in str(caught.value)
    assert said in str(caught.value)


def test_what_cannot_be_asked_for(path: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0\.25 µm.*more coarsely.*0\.1"):
        Slide(path, mpp=0.1)
    with pytest.raises(ConfigError, match="must be above 0"):
        Slide(path, size=0)
    with pytest.raises(ConfigError, match="must be above 0"):
        Slide(path, mpp=float("nan"))
    flat = write_slide(tmp_path / "flat.tif", scene(), levels=1)
    with pytest.raises(DataError, match="8192 x 8192"):
        Slide(flat, mpp=8.0, size=256)[0]


def test_only_a_tile_is_read_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = openslide.OpenSlide.read_region
    sizes = []

    def counted(self, place, level, size):
        sizes.append(size)
        return read(self, place, level, size)

    monkeypatch.setattr(openslide.OpenSlide, "read_region", counted)
    for _ in Slide(path, mpp=4 * SCAN, size=64):
        pass
    assert set(sizes) == {(64, 64)}  # of the third level, not of the first
