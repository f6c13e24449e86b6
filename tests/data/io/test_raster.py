"""TIFF that Pillow alone decodes (LZW) keeps every bit, in both byte orders; or is refused."""

import struct

import numpy as np
import pytest
import tifffile

from medshot.core.errors import DataError
from medshot.data.io.image import decode
from toys.pictures import spot

GRAY = (spot(0)[0] * 16.0).astype(np.uint16)
COLOR = np.stack([GRAY, GRAY // 2, 4095 - GRAY], -1)


def lzw(content: bytes) -> bytes:
    """Literal codes of 9 bits, with a clear code before the table is full."""
    codes = [c for at in range(0, len(content), 250) for c in (256, *content[at : at + 250])]
    bits = "".join(f"{code:09b}" for code in (*codes, 257))
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def write_lzw(path, values, order, photometric, extra=()):
    """A TIFF of one strip, by the bytes of TIFF 6.0."""
    values = values.astype(values.dtype.newbyteorder(order))
    height, width, *more = values.shape
    n, bits = (more or [1])[0], 8 * values.dtype.itemsize
    data, kind = lzw(values.tobytes()), {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    tags = {
        256: [width], 257: [height], 258: [bits] * n, 259: [5], 262: [photometric], 273: [0],
        277: [n], 278: [height], 279: [len(data)], 284: [1], 339: [kind] * n,
    }  # fmt: skip
    if extra:
        tags[338] = list(extra)
    after = 8 + 2 + 12 * len(tags) + 4
    outside = {tag: v for tag, v in tags.items() if len(v) > 2}
    places, end = {}, after
    for tag, several in outside.items():
        places[tag], end = end, end + 2 * len(several)
    tags[273] = [end]
    entries = b""
    for tag, several in sorted(tags.items()):
        long = tag in (273, 279)
        packed = struct.pack(f"{order}{len(several)}{'I' if long else 'H'}", *several)
        place = struct.pack(f"{order}I", places[tag]) if tag in places else packed.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, 4 if long else 3, len(several)) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    rest = b"".join(struct.pack(f"{order}{len(v)}H", *v) for v in outside.values())
    path.write_bytes(head + entries + bytes(4) + rest + data)


KEPT = {
    "gray": (GRAY, 1, (), GRAY),
    "inverse": (GRAY, 0, (), 65_535 - GRAY),
    "signed": (GRAY.astype(np.int16) - 900, 1, (), GRAY.astype(np.int16) - 900),
    "float": (GRAY.astype(np.float32) / 7, 1, (), GRAY.astype(np.float32) / 7),
    "long": (GRAY * np.uint32(1_000_000), 1, (), GRAY * np.uint32(1_000_000)),
    "color": (COLOR, 2, (), COLOR),
    "alpha": (np.concatenate([COLOR, GRAY[..., None]], -1), 2, (2,), COLOR),
    "double": (GRAY / 7.0, 1, (), GRAY / 7.0),
    "inks": (np.concatenate([COLOR, GRAY[..., None]], -1), 5, (), None),
    "gray alpha": (COLOR[:, :, :2], 1, (2,), GRAY),
}
UNKNOWN = {("long", ">"), ("double", "<"), ("double", ">"), ("inks", "<"), ("inks", ">")}
UNKNOWN |= {("gray alpha", "<"), ("gray alpha", ">"), ("inverse", ">")}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", KEPT)
def test_every_bit_is_kept_or_the_file_is_refused(tmp_path, name, order):
    values, photometric, extra, expected = KEPT[name]
    write_lzw(tmp_path / "a.tif", values, order, photometric, extra)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].compression == 5
    if (name, order) in UNKNOWN:
        with pytest.raises(DataError) as caught:
            decode(tmp_path / "a.tif")
        assert "it is damaged" not in str(caught.value)
    else:
        np.testing.assert_array_equal(decode(tmp_path / "a.tif").squeeze(), expected)


def test_a_file_without_a_page_is_truncated(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0" + bytes(4))
    with pytest.raises(DataError, match="damaged or truncated"):
        decode(tmp_path / "a.tif")
