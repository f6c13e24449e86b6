"""What tells DICOM, what its header may hold, and what is refused without "damaged"."""

from types import SimpleNamespace

import numpy as np
import pydicom.pixels
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, JPEGLSLossless

from medshot.core.errors import DataError
from medshot.data.io.dicom.picture import begins_as_dicom, padding, window_in
from medshot.data.io.image import decode, read_image
from toys.dicom import dicom, item, noise, save

VALUES = noise((6, 7), np.uint16)


@pytest.mark.parametrize(
    ("start", "is_one"),
    [
        (bytes(128) + b"DICM", True),
        (b"\x08\0\x05\0" + b"\x0a\0\0\0" + b"ISO_IR 100" + b"\x08\0\x08\0\0\0\0\0", True),
        (b"\x08\0\x05\0CS\x0a\0" + b"ISO_IR 100" + b"\x08\0\x08\0CS\0\0", True),
        (b"\x08\0\x08\0\0\0\0\0" + b"\x08\0\x05\0\0\0\0\0", False),  # out of order
        (b"\x08\0\x05\0" + b"\xff\xff\xff\x0f" + bytes(300), False),
        (b"\x89PNG" + bytes(300), False),
        (b"", False),
    ],
)
def test_first_bytes(start, is_one):
    assert begins_as_dicom(start) == is_one


def test_padding_of_the_other_sign_is_the_same_bits():
    found = dicom(VALUES.astype(np.int16))
    found.PixelPaddingValue = 63536 - 65536
    pixels = np.array([[-2000, 5]], np.int16)
    assert padding(found, pixels).tolist() == [[True, False]]
    assert padding(found, pixels.astype(np.uint16)).tolist() == [[True, False]]
    assert padding(dicom(VALUES), pixels) is None


def test_a_window_of_words_is_none(tmp_path):
    path = save(dicom(VALUES, WindowCenter=98.765, WindowWidth=100), tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes().replace(b"98.765", b"ab.cde"))
    plain = save(dicom(VALUES), tmp_path / "b.dcm")
    np.testing.assert_array_equal(read_image(path), read_image(plain))
    assert window_in(dicom(VALUES)) is None


def test_an_enhanced_file_of_one_frame_is_rescaled_and_windowed(tmp_path):
    transform = item(RescaleSlope=2, RescaleIntercept=-5, RescaleType="US")
    window = item(WindowCenter=100, WindowWidth=200)
    groups = {"PixelValueTransformationSequence": transform, "FrameVOILUTSequence": window}
    made = dicom(VALUES, SharedFunctionalGroupsSequence=item(**groups), NumberOfFrames=1)
    plain = dicom(VALUES, RescaleSlope=2, RescaleIntercept=-5, WindowCenter=100, WindowWidth=200)
    found = read_image(save(made, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(found, read_image(save(plain, tmp_path / "b.dcm")))


def test_a_palette_of_8_bits_in_words_of_16(tmp_path):
    found = dicom(noise((6, 7), np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        setattr(found, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        table = (np.arange(256) * 257).astype("<u2").tobytes()
        setattr(found, f"{name}PaletteColorLookupTableData", table)
    values = read_image(save(found, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(values[:, :, 0], noise((6, 7), np.uint8))


def test_bits_above_those_stored_are_not_read(tmp_path):
    made = dicom(VALUES | 0xA000, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(decode(save(made, tmp_path / "a.dcm"))[:, :, 0], VALUES)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"PhotometricInterpretation": None}, "lacks PhotometricInterpretation"),
        ({"BitsStored": None}, "lacks BitsStored"),
        ({"BitsStored": 12, "HighBit": 15}, "12 bits end at bit 15"),
        ({"PhotometricInterpretation": "FOO"}, "cannot be decoded"),
    ],
)
def test_a_sound_file_is_not_called_damaged(tmp_path, header, said):
    with pytest.raises(DataError, match=said) as caught:
        read_image(save(dicom(VALUES, **header), tmp_path / "a.dcm"))
    assert "damaged" not in str(caught.value)


def packed_as(syntax, packed, at):
    made = dicom(VALUES)
    made.file_meta.TransferSyntaxUID = syntax
    made["PixelData"].VR = "OB"
    made.PixelData = encapsulate([packed])
    return save(made, at / "a.dcm")


def test_without_a_decoder_the_packing_is_named(tmp_path):
    path = packed_as(MPEG2MPML, b"abcd" * 20, tmp_path)
    with pytest.raises(DataError, match=r"packed as MPEG2 .* pydicom does not decode"):
        read_image(path)


def test_a_decoder_that_is_not_installed_is_named(tmp_path, monkeypatch):
    path = packed_as(JPEGLSLossless, b"abcd" * 20, tmp_path)
    needed = ["gdcm - requires gdcm>=3.0.10", "pyjpegls - requires numpy and pyjpegls>=1.2"]
    without = SimpleNamespace(is_available=False, missing_dependencies=needed)
    monkeypatch.setattr(pydicom.pixels, "get_decoder", lambda syntax: without)
    said = r"JPEG-LS Lossless.*Install python-gdcm>=3.0.10, or numpy and pyjpegls>=1.2, or export"
    with pytest.raises(DataError, match=said) as caught:
        read_image(path)
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(("end", "said"), [(b"\xff\xd9", "could not decode"), (b"", "damaged")])
def test_packed_pixels_are_damaged_where_they_have_no_end(tmp_path, end, said):
    with pytest.raises(DataError, match=said):
        read_image(packed_as(JPEGLSLossless, b"\xff\xd8" + b"abcd" * 20 + end, tmp_path))
