"""A DICOM file as a picture: windows, photometric interpretations, colours, bad files."""

from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from numpy import ndarray
from pydicom import Dataset
from pydicom.uid import (
    JPEG2000,
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from medshot.core.errors import DataError
from medshot.data.checks.confounders import look
from medshot.data.io.dicom.image import slice_values
from medshot.data.io.image import decode, read_image
from medshot.data.io.read_volume import read_volume
from medshot.data.load import load
from medshot.data.tables.manifest import find_images
from toys.dicom import SECRETS, dicom, noise, save, write_series

VALUES = noise((6, 7))


def slow_window(value: float, centre: float, width: float) -> float:
    """PS3.3 C.11.2.1.2.1, one value, onto 0 to 255."""
    if value <= centre - 0.5 - (width - 1) / 2:
        return 0
    if value > centre - 0.5 + (width - 1) / 2:
        return 255
    return ((value - (centre - 0.5)) / (width - 1) + 0.5) * 255


def test_the_window_of_the_header_is_used(tmp_path: Path) -> None:
    window = {"WindowCenter": [-900, 1], "WindowWidth": [80, 1]}
    rescale = {"RescaleSlope": 2, "RescaleIntercept": -1024}
    path = save(dicom(VALUES, **window, **rescale), tmp_path / "a.dcm")
    expected = [[slow_window(2 * v - 1024, -900, 80) for v in row] for row in VALUES.tolist()]
    found = read_image(path)
    assert found.shape == (6, 7, 1)
    np.testing.assert_array_equal(found[:, :, 0], np.rint(expected))


def test_a_sigmoid_window(tmp_path: Path) -> None:
    window = {"WindowCenter": 90, "WindowWidth": 60, "VOILUTFunction": "SIGMOID"}
    path = save(dicom(VALUES, **window), tmp_path / "a.dcm")
    expected = np.rint(255 / (1 + np.exp(-4 * (VALUES - 90) / 60)))
    np.testing.assert_array_equal(read_image(path)[:, :, 0], expected)


def test_a_look_up_table(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [200, 0, 12]
    table.add_new("LUTData", "US", [(20 * i) % 4096 for i in range(200)])
    path = save(dicom(VALUES.astype(np.uint16), VOILUTSequence=[table]), tmp_path / "a.dcm")
    expected = np.rint(((20 * VALUES) % 4096) * (255 / 4095))
    np.testing.assert_array_equal(read_image(path)[:, :, 0], expected)


def test_without_a_window_values_stay_and_percentiles_serve(tmp_path: Path) -> None:
    path = save(dicom(VALUES, RescaleSlope=1, RescaleIntercept=-1000), tmp_path / "a.dcm")
    np.testing.assert_array_equal(decode(path)[:, :, 0], VALUES - 1000.0)
    found = read_image(path)
    assert (found.min(), found.max()) == (0, 255)


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 90, "WindowWidth": 100}])
def test_monochrome1_is_the_negative(tmp_path: Path, window: dict) -> None:
    path = save(dicom(VALUES, **window), tmp_path / "a.dcm")
    turned = dicom(VALUES, PhotometricInterpretation="MONOCHROME1", **window)
    difference = read_image(path).astype(int) - (255 - read_image(save(turned, tmp_path / "b.dcm")))
    assert np.abs(difference).max() <= 1
    assert read_image(path).std() > 10


def test_colours(tmp_path: Path) -> None:
    values = noise((6, 7, 3), np.uint8)
    path = save(dicom(values), tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_image(path), values)


def test_a_palette(tmp_path: Path) -> None:
    found = dicom(noise((6, 7), np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for i, name in enumerate(("Red", "Green", "Blue")):
        setattr(found, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 8])
        table = bytes((i + 1) * v % 256 for v in range(256))
        setattr(found, f"{name}PaletteColorLookupTableData", table)
    values = noise((6, 7), np.uint8).astype(int)
    expected = np.stack([values, 2 * values % 256, 3 * values % 256], 2)
    np.testing.assert_array_equal(read_image(save(found, tmp_path / "a.dcm")), expected)


@pytest.mark.parametrize("name", ["a.dcm", "IM0001", "1.2.840.1"])
def test_the_content_says_what_it_is(tmp_path: Path, name: str) -> None:
    window = {"WindowCenter": 90, "WindowWidth": 100}
    assert read_image(save(dicom(VALUES, **window), tmp_path / name)).shape == (6, 7, 1)


def test_folders_of_dicom_files_are_loaded_and_checked(tmp_path: Path) -> None:
    for i, name in enumerate(("x/IM1", "x/1.2.840.7", "y/a.dcm", "y/b.dcm")):
        save(dicom(VALUES + i, WindowCenter=90 + i, WindowWidth=100), tmp_path / name)
    save(dicom(VALUES), tmp_path / "x" / "DICOMDIR")
    data = load(tmp_path, size=8)
    assert data.counts() == {"x": 2, "y": 2}
    assert find_images([tmp_path / "x"]) == [tmp_path / "x" / "1.2.840.7", tmp_path / "x" / "IM1"]
    assert look(tmp_path / "x" / "IM1").named(tmp_path / "x" / "1.2.840.7")
    assert not look(tmp_path / "x" / "IM1").named(tmp_path / "a.png")


def cut(path: Path) -> None:
    save(dicom(VALUES), path)
    path.write_bytes(path.read_bytes()[:-20])


def cut_in_the_header(path: Path) -> None:
    save(dicom(VALUES), path)
    path.write_bytes(path.read_bytes()[:420])


def as_one(**attributes: object) -> Callable[[Path], object]:
    return lambda path: save(dicom(VALUES, **attributes), path)


def deflated(path: Path) -> None:
    found = dicom(VALUES)
    found.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    save(found, path)


def constant(path: Path) -> None:
    save(dicom(np.full_like(VALUES, 7)), path)


BAD = [
    ("a.dcm", cut, "damaged or truncated"),
    ("a.dcm", cut_in_the_header, "a.dcm"),
    ("a.dcm", lambda path: path.write_bytes(b"\x89PNG" + bytes(500)), "no .dcm image"),
    ("a.dcm", lambda path: path.write_bytes(b""), "no .dcm image"),
    ("a.dcm", deflated, "deflated as a whole"),
    ("a.dcm", constant, "same value everywhere"),
    ("a.dcm", as_one(NumberOfFrames=3), "it holds 3 frames"),
    ("a.dcm", as_one(Modality="SEG"), "no picture (its modality is SEG)"),
    ("a.dcm", as_one(Rows=None, Modality="SR"), "no picture (its modality is SR)"),
    ("a.dcm", as_one(Rows=60_000, Columns=60_000), "promises too many pixels (60000 x 60000)"),
    ("a.dcm", as_one(PixelData=None), "cut off before its pixels"),
    ("a.dcm", as_one(WindowCenter=9000, WindowWidth=10), "shown as one gray"),
    ("a.nii.gz", lambda path: path.write_bytes(b"x"), "it is a volume, not an image"),
    ("a.mha", lambda path: path.write_bytes(b"x"), "it is a volume, not an image"),
]


@pytest.mark.parametrize(("name", "write", "said"), BAD)
def test_bad_files_are_refused_without_a_word_of_the_patient(
    tmp_path: Path, name: str, write: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / name
    write(path)
    with pytest.raises(DataError) as caught:
        read_image(path)
    message = str(caught.value)
    assert str(path) in message
    assert said in message
    assert not [secret for secret in SECRETS if secret in message]
    assert caught.value.__cause__ is None or "Zugzwang" not in str(caught.value.__cause__)


def test_no_damage_escapes_as_another_error(tmp_path: Path, rng: np.random.Generator) -> None:
    path = save(dicom(VALUES, WindowCenter=90, WindowWidth=100), tmp_path / "a.dcm")
    whole, said = path.read_bytes(), []
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(132, len(whole), 8):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(bytes(damaged))
        try:
            read_image(path)
        except DataError as error:
            said.append(str(error))
    assert len(said) > 5
    assert not [secret for secret in SECRETS if secret in " ".join(said)]


# Compressed transfer syntaxes decode to the values that were packed.


def smooth(dtype: type) -> ndarray:
    """What lossy codecs keep nearly."""
    y, x = np.mgrid[:40, :36]
    return (100 + 50 * np.sin(y / 9) + x).astype(dtype)


def by_pydicom(syntax: str, **options: object) -> Callable[[ndarray, Path], None]:
    def write(values: ndarray, path: Path) -> None:
        found = dicom(values)
        found.compress(syntax, **options)
        save(found, path)

    return write


def by_gdcm(syntax: int) -> Callable[[ndarray, Path], None]:
    def write(values: ndarray, path: Path) -> None:
        save(dicom(values), path)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(path))
        assert writer.Write()

    return write


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize(
    "write",
    [
        by_pydicom(RLELossless),
        by_pydicom(JPEG2000Lossless),
        by_pydicom(JPEGLSLossless),
        by_gdcm(gdcm.TransferSyntax.JPEGLosslessProcess14_1),
    ],
    ids=["rle", "jpeg2000", "jpeg-ls", "jpeg-lossless"],
)
def test_lossless_syntaxes(
    tmp_path: Path, write: Callable[[ndarray, Path], None], dtype: type
) -> None:
    values = noise((40, 36), dtype)
    write(values, tmp_path / "a.dcm")
    assert pydicom.dcmread(tmp_path / "a.dcm").file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(slice_values(tmp_path / "a.dcm"), values)


@pytest.mark.parametrize(
    "write",
    [
        by_pydicom(JPEG2000, j2k_psnr=[50]),
        by_pydicom(JPEGLSNearLossless, jls_error=2),
        by_gdcm(gdcm.TransferSyntax.JPEGBaselineProcess1),
    ],
    ids=["jpeg2000", "jpeg-ls", "jpeg"],
)
def test_lossy_syntaxes(tmp_path: Path, write: Callable[[ndarray, Path], None]) -> None:
    values = smooth(np.uint8)
    write(values, tmp_path / "a.dcm")
    assert np.abs(slice_values(tmp_path / "a.dcm") - values).max() <= 4


def test_a_compressed_series(tmp_path: Path) -> None:
    values = noise((3, 40, 36))
    for path in write_series(tmp_path, values):
        found = pydicom.dcmread(path)
        found.compress(JPEG2000Lossless)
        found.save_as(path)
    np.testing.assert_array_equal(read_volume(tmp_path).values, values)


def test_a_syntax_that_nothing_decodes_is_named(tmp_path: Path) -> None:
    path = save(dicom(noise((4, 4))), tmp_path / "a.dcm")
    found = pydicom.dcmread(path)
    found.compress(RLELossless)
    found.file_meta.TransferSyntaxUID = MPEG2MPML
    found.save_as(path)
    with pytest.raises(DataError, match="MPEG2 Main Profile"):
        slice_values(path)


def test_packed_pixels_that_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    by_pydicom(JPEG2000Lossless)(noise((40, 36)), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-300] + bytes(300))
    with pytest.raises(DataError, match="damaged or truncated"):
        slice_values(path)
