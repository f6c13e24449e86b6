""""""

import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy import ndarray
from PIL import Image, ImageDraw

from medshot.core.errors import DataError
from medshot.data.io.image import fit_mask, read_image, read_mask
from toys.files import Write

GREY, COLOUR = (12, 10), (12, 10, 3)


def pixels(rng: np.random.Generator, shape: tuple[int, ...], dtype: type = np.uint8) -> ndarray:
    return rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def slow_window(values: ndarray) -> ndarray:
    """Percentiles by sorting, in plain Python."""
    ordered = sorted(float(v) for v in values.flatten())

    def percentile(q: float) -> float:
        place = q / 100 * (len(ordered) - 1)
        low = int(place)
        return ordered[low] + (place - low) * (
            ordered[min(low + 1, len(ordered) - 1)] - ordered[low]
        )

    low, high = percentile(0.5), percentile(99.5)
    scaled = [255 * min(max((float(v) - low) / (high - low), 0), 1) for v in values.flatten()]
    return np.array([round(v) for v in scaled]).reshape(values.shape)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_eight_bits_are_kept(
    tmp_path: Path, rng: np.random.Generator, suffix: str, shape: tuple[int, ...]
) -> None:
    values = pixels(rng, shape)
    Image.fromarray(values).save(tmp_path / f"x{suffix}")
    assert np.array_equal(read_image(tmp_path / f"x{suffix}"), values.reshape(12, 10, -1))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_is_as_pillow_decodes_it(tmp_path: Path, rng: np.random.Generator, mode: str) -> None:
    path = tmp_path / "x.jpg"
    Image.fromarray(pixels(rng, COLOUR)).convert(mode).save(path)
    with Image.open(path) as image:
        assert image.mode == mode
        expected = np.asarray(image if mode == "L" else image.convert("RGB")).reshape(12, 10, -1)
    assert np.array_equal(read_image(path), expected)


@pytest.mark.parametrize(("channels", "kept"), [(2, 1), (4, 3)])
def test_opacity_is_dropped(
    tmp_path: Path, rng: np.random.Generator, channels: int, kept: int
) -> None:
    values = pixels(rng, (12, 10, channels))
    Image.fromarray(values).save(tmp_path / "x.png")
    assert np.array_equal(read_image(tmp_path / "x.png"), values[:, :, :kept])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("seen_through", [None, bytes([0, 255] * 8), 3])
def test_a_palette_gives_its_colours(
    tmp_path: Path, rng: np.random.Generator, suffix: str, seen_through: bytes | int | None
) -> None:
    image = Image.fromarray(pixels(rng, COLOUR)).quantize(16)
    palette = np.array(image.getpalette()).reshape(-1, 3)
    known = {} if seen_through is None or suffix == ".tif" else {"transparency": seen_through}
    image.save(tmp_path / f"x{suffix}", **known)
    assert np.array_equal(read_image(tmp_path / f"x{suffix}"), palette[np.asarray(image)])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_one_bit_is_black_and_white(tmp_path: Path, rng: np.random.Generator, suffix: str) -> None:
    values = rng.random(GREY) > 0.5
    Image.fromarray(values).save(tmp_path / f"x{suffix}")
    assert np.array_equal(read_image(tmp_path / f"x{suffix}")[:, :, 0], values * 255)


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("x.png", GREY, np.uint16),
        ("x.tif", GREY, np.uint16),
        ("x.tif", COLOUR, np.uint16),
        ("x.tif", GREY, np.int16),
        ("x.tif", GREY, np.float32),
    ],
)
def test_deeper_images_are_windowed(
    tmp_path: Path, rng: np.random.Generator, name: str, shape: tuple[int, ...], dtype: type
) -> None:
    values = (2000 * rng.standard_normal(shape) + 9000).astype(dtype)
    if name == "x.png":
        Image.fromarray(values).save(tmp_path / name)
    else:
        rgb = "rgb" if len(shape) == 3 else "minisblack"
        tifffile.imwrite(tmp_path / name, values, photometric=rgb)
    found = read_image(tmp_path / name).astype(int)
    assert np.abs(found - slow_window(values).reshape(found.shape)).max() <= 1  # halves may differ


def test_a_mostly_equal_image_keeps_its_few_points(tmp_path: Path) -> None:
    values = np.full((40, 40), 7, np.uint16)
    values[3, 4] = 900
    tifffile.imwrite(tmp_path / "x.tif", values)
    found = read_image(tmp_path / "x.tif")
    assert found[3, 4, 0] == 255
    assert found.sum() == 255


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16])
def test_white_is_zero_is_turned_round(
    tmp_path: Path, rng: np.random.Generator, dtype: type
) -> None:
    values = (rng.integers(3, 200, GREY) > 100) if dtype is bool else rng.integers(3, 200, GREY)
    values = values.astype(dtype)
    tifffile.imwrite(tmp_path / "inverse.tif", values, photometric="miniswhite")
    found = read_image(tmp_path / "inverse.tif")[:, :, 0]
    if dtype == np.uint16:
        expected = np.abs(255 - slow_window(values))
        assert np.abs(found.astype(int) - expected).max() <= 1
    else:
        assert np.array_equal(found, 255 * ~values if dtype is bool else 255 - values)


def test_planes_are_put_last(tmp_path: Path, rng: np.random.Generator) -> None:
    values = pixels(rng, (3, 12, 3))  # three colours, and three pixels wide
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_image(tmp_path / "x.tif"), np.moveaxis(values, 0, -1))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits"])
def test_lossless_compressions_of_tiff(
    tmp_path: Path, rng: np.random.Generator, compression: str
) -> None:
    values = pixels(rng, COLOUR)
    Image.fromarray(values).save(tmp_path / "x.tif", compression=compression)
    assert np.array_equal(read_image(tmp_path / "x.tif"), values)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_images_are_set_upright(
    tmp_path: Path, rng: np.random.Generator, orientation: int, suffix: str
) -> None:
    path = tmp_path / f"x{suffix}"
    image = Image.fromarray(np.repeat(np.repeat(pixels(rng, (3, 2)), 8, 0), 8, 1))
    if suffix == ".tif":
        tifffile.imwrite(path, np.asarray(image), extratags=[(274, "H", 1, orientation, True)])
    else:
        exif = Image.Exif()
        exif[274] = orientation
        image.save(path, exif=exif, **({"quality": 100} if suffix == ".jpg" else {}))
    lying = np.asarray(image).astype(int)
    rows, columns = lying.shape
    corner = {  # where the stored pixel (0, 0) belongs, and whether rows become columns
        1: (0, 0, False), 2: (0, 1, False), 3: (1, 1, False), 4: (1, 0, False),
        5: (0, 0, True), 6: (0, 1, True), 7: (1, 1, True), 8: (1, 0, True),
    }  # fmt: skip
    bottom, right, across = corner[orientation]
    expected = np.zeros((columns, rows) if across else (rows, columns), int)
    for i in range(rows):
        for j in range(columns):
            y, x = (j, i) if across else (i, j)
            y = expected.shape[0] - 1 - y if bottom else y
            x = expected.shape[1] - 1 - x if right else x
            expected[y, x] = lying[i, j]
    found = read_image(path)[:, :, 0].astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= (5 if suffix == ".jpg" else 0)


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def bomb(path: Path, side: int = 10_000) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b""))


def cut(path: Path) -> None:
    """The first half of a good file."""
    values = np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)
    Image.fromarray(values).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def floats(value: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        values = np.random.default_rng(0).random((12, 10)).astype(np.float32)
        values[3, 3] = value
        tifffile.imwrite(path, values)

    return write


def pages(path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (2, 12, 10), dtype=np.uint8)
    first, second = map(Image.fromarray, values)
    first.save(path, save_all=True, append_images=[second])


def constant(path: Path) -> None:
    Image.fromarray(np.full((12, 10), 9, np.uint8)).save(path)


BAD = [
    ("x.png", lambda path: None, "does not exist"),
    ("x.png", lambda path: path.mkdir(), "is a folder"),
    ("x.png", lambda path: path.write_bytes(b""), "no .png image"),
    ("x.tif", lambda path: path.write_bytes(b""), "no .tif image"),
    ("x.png", lambda path: path.write_text("hello\n"), "no .png image"),
    ("x.png", cut, "damaged or truncated"),
    ("x.jpg", cut, "damaged or truncated"),
    ("x.tif", cut, "damaged or truncated"),
    ("x.png", constant, "same value everywhere"),
    ("x.tif", constant, "same value everywhere"),
    ("x.tif", floats(float("nan")), "not finite"),
    ("x.tif", floats(float("inf")), "not finite"),
    ("x.tif", pages, "2 pages"),
    ("x.png", pages, "2 pages"),
    ("x.png", bomb, "too many pixels"),
    ("x.bmp", lambda path: path.touch(), "not read"),
    ("x.png", lambda path: Image.new("L", (4, 4)).save(path, format="BMP"), "no .png image"),
    ("x.tif", lambda p: tifffile.imwrite(p, np.ones((6, 7, 5)), photometric="rgb"), "6 x 7 x 5"),
    ("x.tif", lambda p: tifffile.imwrite(p, np.ones((4, 4), np.complex64)), "type complex64"),
]


@pytest.mark.parametrize(("name", "write", "said"), BAD)
def test_bad_files_are_refused(
    tmp_path: Path, name: str, write: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / name
    write(path)
    with pytest.raises(DataError) as caught:
        read_image(path)
    message = str(caught.value)
    assert str(path) in message
    assert said in message
    assert message.count(". ") >= 1  # and then what to do
    assert message.endswith(".")


@pytest.mark.parametrize("side", [10_000, 16_384])
def test_a_bomb_is_refused_where_warnings_are_not_errors(tmp_path: Path, side: int) -> None:
    bomb(tmp_path / "x.png", side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match=r"x\.png.*too many pixels.*\d+"):
            read_image(tmp_path / "x.png")


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif", "z.tif"])
def test_no_damage_escapes_as_another_error(
    tmp_path: Path, write: Write, rng: np.random.Generator, name: str
) -> None:
    write("x.png", COLOUR), write("x.jpg", COLOUR), write("x.tif", COLOUR)
    tifffile.imwrite(tmp_path / "z.tif", pixels(rng, GREY), compression="zlib")
    whole = (tmp_path / name).read_bytes()
    path = tmp_path / f"damaged-{name}"
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(25):
            damaged = bytearray(whole)
            for place in rng.integers(0, len(whole), 8):
                damaged[place] = rng.integers(0, 256)
            path.write_bytes(bytes(damaged))
            try:
                read_image(path)
            except DataError:
                refused += 1
    assert refused > 5


def test_a_link_is_followed(tmp_path: Path, write: Write) -> None:
    path = write("real.png")
    (tmp_path / "link.png").symlink_to(path)
    assert np.array_equal(read_image(tmp_path / "link.png"), read_image(path))


# Masks: which files hold class numbers, and what is refused.


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


def test_numbers_above_31_are_classes_where_they_fill_an_area(path):
    mask = np.kron(np.array([[0, 17], [53, 200]], np.uint8), np.ones((3, 3), np.uint8))
    Image.fromarray(mask).save(path)
    np.testing.assert_array_equal(read_mask(path), mask)
    disc = Image.new("L", (64, 64))
    ImageDraw.Draw(disc).ellipse((10, 10, 50, 50), fill=255)
    disc.resize((16, 16), Image.Resampling.BILINEAR).save(path)  # a smoothed edge
    with pytest.raises(DataError, match="not class numbers"):
        read_mask(path)


def test_numbers_of_16_bits_stay(tmp_path):
    mask = np.kron(np.array([[0, 300], [1000, 0]], np.uint16), np.ones((3, 3), np.uint16))
    Image.fromarray(mask).save(tmp_path / "mask.png")
    found = read_mask(tmp_path / "mask.png")
    np.testing.assert_array_equal(found, mask)
    assert set(np.unique(fit_mask(found, 4))) == {0, 300, 1000}


def test_white_stays_where_it_may_be_one_class_of_several(path):
    Image.fromarray(NUMBERS // 2 * 255).save(path)
    assert set(np.unique(read_mask(path, white=False))) == {0, 255}
