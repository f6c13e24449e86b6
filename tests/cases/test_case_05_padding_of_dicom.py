"""Pixel padding is no image: it counts for no percentile, and is the darkest value."""

import numpy as np
import pytest

from medshot.data.io.image import read_image
from medshot.data.io.read_volume import read_volume
from medshot.data.transforms import VolumePreprocessing
from toys.dicom import FRAMES, dicom, enhanced, save, write_series
from toys.pictures import spot

Y, X = np.mgrid[:48, :48]
OUTSIDE = (Y - 24) ** 2 + (X - 24) ** 2 > 22**2
GRAY = spot(0)[0]


def expected() -> np.ndarray:
    values = GRAY * 16.0
    low, high = np.percentile(values[~OUTSIDE], (0.5, 99.5))
    shown = (255 * ((values - low) / (high - low)).clip(0, 1)).round()
    return np.where(OUTSIDE, 0, shown)


@pytest.mark.parametrize(
    ("kind", "pad", "header"),
    [
        (np.uint16, 63536, {"PixelPaddingValue": 63536}),
        (np.int16, -2000, {"PixelPaddingValue": -2000}),
        (np.uint16, 60_000, {"PixelPaddingValue": 59_000, "PixelPaddingRangeLimit": 61_000}),
        (np.uint16, 60_000, {"PixelPaddingValue": 61_000, "PixelPaddingRangeLimit": 59_000}),
    ],
)
def test_percentiles_are_of_the_rest(tmp_path, kind, pad, header):
    values = (GRAY * 16.0).astype(kind)
    values[OUTSIDE] = pad
    path = save(dicom(values, **header), tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_image(path)[:, :, 0], expected())


def test_padding_of_the_negative_is_dark_too(tmp_path):
    values = (GRAY * 16.0).astype(np.uint16)
    values[OUTSIDE] = 63536
    made = dicom(values, PixelPaddingValue=63536, PhotometricInterpretation="MONOCHROME1")
    seen = read_image(save(made, tmp_path / "a.dcm"))[:, :, 0].astype(int)
    assert (seen[OUTSIDE] == 0).all()
    assert np.abs(seen + expected() - 255)[~OUTSIDE].max() <= 1


def test_padding_is_dark_under_a_window(tmp_path):
    values = (GRAY * 16.0).astype(np.uint16)
    values[OUTSIDE] = 63536
    header = {"PixelPaddingValue": 63536, "WindowCenter": 1500, "WindowWidth": 3000}
    seen = read_image(save(dicom(values, **header), tmp_path / "a.dcm"))[:, :, 0]
    assert (seen[OUTSIDE] == 0).all()
    assert seen[~OUTSIDE].std() > 5


def test_voxels_of_padding_count_for_no_percentile(tmp_path):
    values = np.stack([(spot(k)[0] * 16.0).astype(np.uint16) for k in range(4)])
    values[:, OUTSIDE] = 63536
    write_series(tmp_path, values, PixelPaddingValue=63536)
    volume = read_volume(tmp_path)
    seen = VolumePreprocessing().fit(volume)
    low, high = np.percentile(values[:, ~OUTSIDE], (0.5, 99.5))
    inside = (255 * ((values[:, ~OUTSIDE] - low) / (high - low)).clip(0, 1)).round()
    assert np.abs(seen[:, ~OUTSIDE].astype(int) - inside).max() <= 1
    assert (seen[:, OUTSIDE] == 0).all()


def test_padding_of_a_file_of_several_frames(tmp_path):
    most = int(FRAMES.max())
    path = save(enhanced(), tmp_path / "a.dcm")
    assert read_volume(path).padding is None
    made = enhanced()
    made.PixelPaddingValue = most
    volume = read_volume(save(made, tmp_path / "b.dcm"))
    np.testing.assert_array_equal(volume.padding, most == FRAMES)
    assert (VolumePreprocessing().fit(volume)[most == FRAMES] == 0).all()
