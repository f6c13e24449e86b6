"""Compressed transfer syntaxes decode to the values that were packed."""

from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from numpy import ndarray
from pydicom.uid import (
    JPEG2000,
    MPEG2MPML,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from medshot.core.errors import DataError
from medshot.data.io.dicom.image import slice_values
from medshot.data.io.read_volume import read_volume
from toys.dicom import dicom, noise, save, write_series


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
    with pytest.raises(DataError, match="its pixels are packed as MPEG2 Main Profile"):
        slice_values(path)


def test_packed_pixels_that_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    by_pydicom(JPEG2000Lossless)(noise((40, 36)), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-300] + bytes(300))
    with pytest.raises(DataError, match="damaged or truncated"):
        slice_values(path)
