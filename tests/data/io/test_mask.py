"""Masks: which files hold class numbers, and what is refused."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from medshot.core.errors import DataError
from medshot.data.io.mask import fit_mask, read_mask

NUMBERS = np.array([[0, 1, 2], [2, 2, 0]], dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mask.png"


def test_class_numbers_are_read_as_they_are(path, tmp_path):
    Image.fromarray(NUMBERS).save(path)
    np.testing.assert_array_equal(read_mask(path), NUMBERS)
    tifffile.imwrite(tmp_path / "mask.tif", NUMBERS)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif"), NUMBERS)


def test_a_palette_is_read_by_its_numbers_not_its_colours(path):
    image = Image.fromarray(NUMBERS).convert("P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    image.putdata(NUMBERS.ravel().tolist())
    image.save(path)
    np.testing.assert_array_equal(read_mask(path), NUMBERS)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "1"])
def test_black_and_white_is_zero_and_one(path, mode):
    Image.fromarray((NUMBERS > 0).astype(np.uint8) * 255).convert(mode).save(path)
    np.testing.assert_array_equal(read_mask(path), NUMBERS > 0)


def test_a_mask_may_be_empty(path):
    Image.fromarray(np.zeros_like(NUMBERS)).save(path)
    assert not read_mask(path).any()


def test_a_smoothed_mask_is_refused(path):
    Image.fromarray(np.array([[0, 120, 255]], dtype=np.uint8)).save(path)
    with pytest.raises(DataError, match=r"mask\.png.* 3 values up to 255"):
        read_mask(path)


def test_a_mask_in_colour_is_refused(path):
    pixels = np.zeros((2, 3, 3), dtype=np.uint8)
    pixels[0, 0] = [255, 0, 0]
    Image.fromarray(pixels).save(path)
    with pytest.raises(DataError, match="it is in colour"):
        read_mask(path)


def test_a_mask_of_fractions_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "mask.tif", NUMBERS.astype(np.float32))
    with pytest.raises(DataError, match="of the type float32"):
        read_mask(tmp_path / "mask.tif")


def test_a_missing_and_a_truncated_mask_are_refused_by_name(path):
    with pytest.raises(DataError, match=r"mask\.png: it does not exist"):
        read_mask(path)
    Image.fromarray(np.random.default_rng(0).integers(0, 3, (50, 50), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"mask\.png: it is"):
        read_mask(path)


def test_on_another_grid_no_new_number_appears():
    large = np.kron(NUMBERS, np.ones((7, 5), dtype=np.uint8))
    assert set(np.unique(fit_mask(large, 9))) <= {0, 1, 2}
    np.testing.assert_array_equal(
        fit_mask(NUMBERS.repeat(3, 0)[:3, :3], 6)[::2, ::2], [[0, 1, 2]] * 3
    )


def test_a_jpeg_is_refused_because_it_changes_numbers(tmp_path):
    Image.fromarray(NUMBERS).save(tmp_path / "mask.jpg")
    with pytest.raises(DataError, match="JPEG, which changes numbers"):
        read_mask(tmp_path / "mask.jpg")


def test_what_is_drawn_in_the_opacity_alone_is_refused(path):
    pixels = np.zeros((2, 3, 4), dtype=np.uint8)
    pixels[0, 0, 3] = 255
    Image.fromarray(pixels).save(path)
    with pytest.raises(DataError, match="transparent"):
        read_mask(path)


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_of_few_bits_is_read_by_its_numbers(path, bits):
    rows = b"".join(b"\0" + bytes([_packed(row, bits)]) for row in NUMBERS[:, : 8 // bits].tolist())
    height, width = NUMBERS[:, : 8 // bits].shape
    path.write_bytes(_png(width, height, bits, rows))
    np.testing.assert_array_equal(read_mask(path), NUMBERS[:, : 8 // bits])


def test_black_and_white_of_16_bits_is_zero_and_one(path):
    Image.fromarray((NUMBERS > 0).astype(np.uint16) * 65535).save(path)
    np.testing.assert_array_equal(read_mask(path), NUMBERS > 0)


def _packed(row: list[int], bits: int) -> int:
    value = 0
    for number in row:
        value = value << bits | number
    return value << (8 - bits * len(row))


def _png(width: int, height: int, bits: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
