"""One path from file to pixels: check, load, adapt, predict and the exported script agree.

The script runs in a process without medshot and PyTorch. A file is answered for alike, or refused.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from pydicom import Dataset
from pydicom.uid import JPEG2000Lossless

import medshot
import toys
from medshot.data.checks.confounders import look
from medshot.data.checks.issue import SKIP
from medshot.data.io.image import read_image
from medshot.learners import build
from medshot.stages.export.image_files import pixels_in
from medshot.stages.export.onnx_file import export_onnx, script_beside
from toys.commands import folder
from toys.dicom import dicom, save
from toys.pictures import spot, write_png16

BLOCKED = "import sys; sys.modules.update(torch=None, medshot=None); import runpy; "
GRAY = spot(1, shape=(40, 56))[0]
DEEP = (GRAY * 16.0).astype(np.uint16)
COLOR = np.stack([GRAY, GRAY // 2, 255 - GRAY], -1)
DEEP_COLOR = np.stack([DEEP, DEEP // 2, 4095 - DEEP], -1)


def pillow(values, **options):
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    return lambda path: image.save(path, **options)


def tiff(values, **options):
    return lambda path: tifffile.imwrite(path, values, **options)


def marked(mark):
    exif = Image.Exif()
    exif[274] = mark
    return exif


def mpo(path):
    other = Image.fromarray(COLOR[:, ::-1])
    Image.fromarray(COLOR).save(path, format="MPO", save_all=True, append_images=[other])


def thumbnail(path):
    with tifffile.TiffWriter(path) as file:
        file.write(GRAY)
        file.write(GRAY[::4, ::4], subfiletype=1)


def medical(values, *, packed=None, **header):
    def write(path):
        found = dicom(values, **header)
        if packed:
            found.compress(packed)
        save(found, path)

    return write


def lut(values):
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 12]
    table.add_new("LUTData", "US", [(4095 - i) for i in range(4096)])
    return medical(values, VOILUTSequence=[table])


def palette(path):
    found = dicom(GRAY, PhotometricInterpretation="PALETTE COLOR")
    for i, name in enumerate(("Red", "Green", "Blue")):
        setattr(found, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        entries = (np.arange(256) * 257 // (i + 1)).astype("<u2")
        setattr(found, f"{name}PaletteColorLookupTableData", entries.tobytes())
    save(found, path)


PADDED = np.where(DEEP > 2000, 63536, DEEP).astype(np.uint16)
ANSWERED = {
    "gray.png": pillow(GRAY),
    "color.png": pillow(COLOR),
    "bit.png": pillow(Image.fromarray(GRAY).convert("1")),
    "la.png": pillow(np.stack([GRAY, GRAY], -1)),
    "rgba.png": pillow(np.concatenate([COLOR, GRAY[..., None]], -1)),
    "palette.png": pillow(Image.fromarray(COLOR).quantize(16), transparency=3),
    "gray16.png": pillow(DEEP),
    "color16.png": lambda path: write_png16(path, DEEP_COLOR, 2),
    "la16.png": lambda path: write_png16(path, DEEP_COLOR[:, :, :2], 4),
    "exif6.png": pillow(GRAY, exif=marked(6)),
    **{f"exif{mark}.jpg": pillow(GRAY, exif=marked(mark)) for mark in range(1, 9)},
    "color.jpg": pillow(COLOR),
    "cmyk.jpg": pillow(Image.fromarray(COLOR).convert("CMYK")),
    "mpo.jpg": mpo,
    "jpeg.png": pillow(COLOR, format="JPEG"),
    "png.tif": pillow(COLOR, format="PNG"),
    "gray.tif": tiff(GRAY),
    "gray16.tif": tiff(DEEP, byteorder=">"),
    "lzw.tif": pillow(COLOR, compression="tiff_lzw"),
    "lzw16.tif": pillow(DEEP, compression="tiff_lzw"),
    "color16.tif": tiff(DEEP_COLOR, photometric="rgb"),
    "planes.tif": tiff(np.moveaxis(DEEP_COLOR, 2, 0), photometric="rgb", planarconfig="separate"),
    "float.tif": tiff(GRAY / 255.0 - 3),
    "int32.tif": tiff(DEEP.astype(np.int32) - 900),
    "inverse.tif": tiff(DEEP, photometric="miniswhite"),
    "turned.tif": tiff(GRAY, extratags=[(274, "H", 1, 8, True)]),
    "thumbnail.tif": thumbnail,
    "big.tif": tiff(DEEP, bigtiff=True),
    "palette.tif": pillow(Image.fromarray(COLOR).quantize(16)),
    "gray.dcm": medical(GRAY),
    "gray16.dcm": medical(DEEP),
    "signed.dcm": medical(DEEP.astype(np.int16) - 1024, RescaleSlope=2, RescaleIntercept=-5),
    "twelve.dcm": medical(DEEP, BitsStored=12, HighBit=11),
    "inverse.dcm": medical(DEEP, PhotometricInterpretation="MONOCHROME1"),
    "window.dcm": medical(DEEP, WindowCenter=1000, WindowWidth=1800),
    "padded.dcm": medical(PADDED, PixelPaddingValue=63536),
    "table.dcm": lut(DEEP),
    "palette.dcm": palette,
    "color.dcm": medical(COLOR),
    "ybr.dcm": medical(COLOR, PhotometricInterpretation="YBR_FULL"),
    "packed.dcm": medical(DEEP, packed=JPEG2000Lossless),
    "IM0001": medical(DEEP),
}
REFUSED = {
    "empty.png": (lambda path: path.write_bytes(b""), "empty"),
    "text.png": (lambda path: path.write_text("hello"), "no "),
    "pages.tif": (tiff(np.stack([GRAY, GRAY]), photometric="minisblack"), "2 pages"),
    "nan.tif": (tiff(np.where(GRAY > 100, np.nan, GRAY)), "not finite"),
    "apng.png": (
        pillow(GRAY, save_all=True, append_images=[Image.fromarray(GRAY // 2)]),
        "2 pages",
    ),
    "gif.png": (pillow(GRAY, format="GIF"), "no "),
    "webp.png": (pillow(COLOR, format="WEBP"), "no "),
    "flat.png": (pillow(GRAY * 0), "same value"),
    "frames.dcm": (medical(DEEP, NumberOfFrames=2), "2 frames"),
}


def quick():
    torch.manual_seed(0)
    return build("nearest-centroid", encoder=toys.conv4())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A predictor, the files, and what the script says of each."""
    place = tmp_path_factory.mktemp("doors")
    predictor = quick().adapt(medshot.load(folder(place / "mine", (4, 4))))
    files = place / "files"
    files.mkdir()
    for name, write in (*ANSWERED.items(), *((n, w) for n, (w, _) in REFUSED.items())):
        write(files / name)
    model = export_onnx(predictor, place / "model.onnx")
    script = script_beside(model, predictor.known_card())
    run = f"{BLOCKED}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-c", run, str(script), str(model), str(files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return predictor, files, {row.pop("path"): row for row in rows}


@pytest.mark.parametrize("name", ANSWERED)
def test_every_door_sees_the_same_pixels(made, name):
    predictor, files, said = made
    path = files / name
    pixels = read_image(path)
    np.testing.assert_array_equal(pixels_in(path), pixels)
    assert (look(path).height, look(path).width) == pixels.shape[:2]
    found = predictor.predict(path).probabilities
    assert said[str(path)] == pytest.approx(found, abs=1e-4)


@pytest.mark.parametrize("name", REFUSED)
def test_every_door_refuses(made, name):
    predictor, files, said = made
    key = REFUSED[name][1]
    for door in (read_image, look, predictor.predict):
        with pytest.raises(medshot.DataError, match=key) as caught:
            door(files / name)
        assert "damaged" not in str(caught.value)
    assert key in said[str(files / name)]["not read"]


def among_others(at, path):
    """A folder of two classes of two images, one of which is a copy of `path`."""
    mine = folder(at / "support", (2, 2))
    table = mine / "labels.csv"
    first = table.read_text().splitlines()[1].split(",")[0]
    table.write_text(table.read_text().replace(first, path.name))
    shutil.copy(path, mine / path.name)
    return mine


@pytest.mark.parametrize("name", ANSWERED)
def test_load_and_adapt_learn_from_the_same_pixels(made, name, tmp_path):
    _, files, _ = made
    mine = among_others(tmp_path, files / name)
    assert not medshot.check(mine).errors
    form = quick().encoder
    loaded = medshot.load(mine, channels=form.channels, size=form.size)
    pixels = [loaded.preprocessing.fit(pixels_in(row.path)) for row in loaded.rows]
    assert name in [row.path.name for row in loaded.rows]
    np.testing.assert_array_equal(loaded.x.numpy(), np.stack(pixels))
    expected = quick().adapt(replace(loaded, x=torch.from_numpy(np.stack(pixels)), read=None))
    found = medshot.adapt(mine, quick()).predictor
    for row in loaded.rows:
        assert found.predict(row.path).probabilities == expected.predict(row.path).probabilities


@pytest.mark.parametrize("name", REFUSED)
def test_load_and_adapt_refuse_in_the_same_words(made, name, tmp_path):
    mine = among_others(tmp_path, made[1] / name)
    said = [str(error) for error in medshot.check(mine).errors]
    for door in (medshot.load, lambda at: medshot.adapt(at, quick())):
        with pytest.raises(medshot.DataError, match=REFUSED[name][1]) as caught:
            door(mine)
        assert str(caught.value).removesuffix(SKIP) in said
        assert name in str(caught.value)


def test_deep_pictures_are_told_apart(made):
    _, files, said = made
    answers = [tuple(said[str(files / name)].values()) for name in ("gray16.png", "float.tif")]
    plain = said[str(files / "gray.png")]
    assert all(answer != pytest.approx(tuple(plain.values()), abs=1e-9) for answer in answers)


def test_a_script_without_tifffile_and_pydicom_says_so(made, tmp_path):
    predictor, files, _ = made
    model = export_onnx(predictor, tmp_path / "model.onnx")
    script = script_beside(model, predictor.known_card())
    blocked = BLOCKED.replace("torch=None", "torch=None, tifffile=None, pydicom=None")
    run = f"{blocked}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    names = ("gray.png", "gray16.tif", "gray16.dcm")
    command = [sys.executable, "-I", "-c", run, str(script), str(model)]
    command += [str(files / name) for name in names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    png, tif, dcm = (json.loads(line) for line in done.stdout.splitlines())
    assert "not read" not in png
    assert "pip install tifffile" in tif["not read"]
    assert "pip install pydicom" in dcm["not read"]
