"""Images with an orientation mark, and masks without one: turned where they lie as stored."""

import numpy as np
import pytest
from PIL import Image

import medshot
from medshot.data.io.raster import TURNS
from toys.pictures import spot


def marked_folder(folder, mark, *, shape=(40, 56), drawn="stored", bright=True):
    """Six photographs; masks drawn on what is stored, or on what is seen."""
    exif = Image.Exif()
    exif[274] = mark
    rows = ["path,mask,patient"]
    for i in range(6):
        gray, mask = spot(i, shape=shape, bright=bright)
        Image.fromarray(gray).save(folder / f"{i}.jpg", exif=exif, quality=95)
        mask = mask if drawn == "stored" else TURNS[mark](mask)
        Image.fromarray(np.ascontiguousarray(mask)).save(folder / f"{i}_mask.png")
        rows.append(f"{i}.jpg,{i}_mask.png,p{i}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def marked_is_bright(data):
    gray = data.x.float().mean(1)
    return gray[data.y == 1].mean() > gray[data.y == 0].mean() + 50


@pytest.mark.parametrize("drawn", ["stored", "seen"])
@pytest.mark.parametrize(("mark", "shape"), [(3, (40, 56)), (6, (48, 48)), (6, (40, 56))])
def test_the_mask_lies_on_what_it_marks(tmp_path, mark, shape, drawn):
    marked_folder(tmp_path, mark, shape=shape, drawn=drawn)
    data = medshot.load(tmp_path)
    assert marked_is_bright(data)
    assert marked_is_bright(data.at(3, 32))
    assert any("6 image(s) carry an orientation mark" in note for note in data.notes)
    (found,) = [f for f in medshot.check(tmp_path).findings if "orientation mark" in f.what]
    plain = drawn == "seen" and shape == (40, 56) and mark == 6
    assert found.severity == ("note" if plain else "warning")
    assert ("drawn on the picture as stored" in found.what) == (drawn == "stored")


def test_where_nothing_tells_it_is_asked(tmp_path):
    marked_folder(tmp_path, 3)
    for i in range(6):
        gray, _ = spot(i, shape=(40, 56), bright=False)
        exif = Image.Exif()
        exif[274] = 3
        noise = np.random.default_rng(i).integers(0, 255, gray.shape).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.jpg", exif=exif)
    (found,) = [f for f in medshot.check(tmp_path).findings if "orientation mark" in f.what]
    assert found.severity == "warning"
    assert "as stored, or upright?" in found.what


def test_a_mask_that_fits_neither_way_names_the_mark(tmp_path):
    marked_folder(tmp_path, 6)
    Image.fromarray(np.ones((20, 20), np.uint8)).save(tmp_path / "0_mask.png")
    with pytest.raises(medshot.DataError, match="fits neither way"):
        medshot.load(tmp_path)


def test_images_without_a_mark_say_nothing(tmp_path):
    marked_folder(tmp_path, 1, drawn="stored")
    assert not [f for f in medshot.check(tmp_path).findings if "mark" in f.what]
