"""Folders of images with boxes: which images, which boxes, in which form, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

import medshot
from medshot.core.errors import DataError
from medshot.data.dataset import Dataset
from medshot.data.readers.registry import kind_of

HEAD = "path,xmin,ymin,xmax,ymax,label"
LINES = (HEAD, "0.png,2,1,6,5,cell", "0.png,10,4,20,9,nerve", "1.png,0,0,40,20,cell")


@pytest.fixture
def folder(tmp_path):
    """Two images of 40 x 20 pixels with boxes, and a third one without."""
    rng = np.random.default_rng(0)
    for i in range(3):
        pixels = rng.integers(0, 256, (20, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    write(tmp_path, *LINES)
    return tmp_path


def write(folder, *lines, name="boxes.csv"):
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_boxes_are_in_shares_of_the_image_and_others_fill_up(folder):
    found = medshot.load(folder, size=16)
    assert isinstance(found, Dataset)
    assert found.labels == ("cell", "nerve")
    assert tuple(found.x.shape) == (3, 3, 16, 16)
    expected = torch.tensor([[0.05, 0.05, 0.15, 0.25, 0], [0.25, 0.2, 0.5, 0.45, 1]])
    torch.testing.assert_close(found.y[0], expected)
    assert found.y[1:, :, 4].tolist() == [[0, -1], [-1, -1]]
    assert found.counts() == {"cell": 2, "nerve": 1}
    assert found.task == medshot.Detection.of(2)
    assert found.at(1, 8).y is found.y
    assert tuple(found.at(1, 8).x.shape) == (3, 1, 8, 8)


def test_an_image_of_the_folder_without_boxes_shows_nothing_and_is_said(folder):
    found = medshot.load(folder)
    assert [row.path.name for row in found.rows] == ["0.png", "1.png", "2.png"]
    assert any("1 image(s) of the folder are not in boxes.csv" in note for note in found.notes)
    write(folder, *LINES, "2.png,,,,,")
    assert not any("are taken as images without" in note for note in medshot.load(folder).notes)


def test_a_list_says_which_images_are_meant_and_whose(folder):
    write(folder, "path,patient", "1.png,p", "0.png,p", name="images.csv")
    found = medshot.load(folder)
    assert [row.path.name for row in found.rows] == ["1.png", "0.png"]
    assert found.groups.tolist() == [0, 0]
    write(folder, "path", "1.png", "2.png", name="images.csv")
    with pytest.raises(DataError, match=r"boxes\.csv, line 2: 0\.png"):
        medshot.load(folder)


def test_other_targets_make_one_say_what_is_meant(folder):
    assert kind_of(folder) == "detection"
    write(folder, "path,label", "0.png,a", "1.png,b", name="labels.csv")
    assert kind_of(folder) == "classification"
    assert len(medshot.load(folder, task="detection")) == 2


def test_one_image_under_two_names_is_taken_once(folder):
    (folder / "2.png").write_bytes((folder / "0.png").read_bytes())
    found = medshot.load(folder)
    assert len(found) == 2
    assert any("2.png is the same image as 0.png" in note for note in found.notes)


def test_other_boxes_are_other_data(folder):
    first = medshot.load(folder).hash
    write(folder, LINES[0], "0.png,2,1,7,5,cell", *LINES[2:])
    assert medshot.load(folder).hash != first


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0.png,30,4,45,9,cell", r"line 5: the box 30, 4, 45, 9 reaches out of 0\.png, .* 40 wide"),
        ("0.png,-3,4,5,9,cell", "line 5: the box -3, 4, 5, 9 reaches out"),
        ("0.png,-1,4,0,9,cell", "line 5: the box -1, 4, 0, 9 reaches out"),
        ("0.png,40,4,41,9,cell", "line 5: the box 40, 4, 41, 9 reaches out"),
        ("7.png,1,1,5,9,cell", r"line 5: 7\.png does not exist"),
    ],
)
def test_boxes_that_fit_no_image_are_refused_by_their_line(folder, line, words):
    write(folder, *LINES, line)
    with pytest.raises(DataError, match=rf"boxes\.csv, {words}"):
        medshot.load(folder)


def test_a_pixel_beyond_the_border_is_rounding(folder):
    write(folder, *LINES, "2.png,-1,0.5,41,20.5,cell")
    assert medshot.load(folder).y[2, 0, :4].tolist() == pytest.approx([0, 0.025, 1, 1])


def test_no_box_at_all_and_no_table_are_refused(folder):
    write(folder, HEAD, "0.png,,,,,")
    with pytest.raises(DataError, match="it holds no box"):
        medshot.load(folder)
    (folder / "boxes.csv").unlink()
    with pytest.raises(DataError, match="there is no such file"):
        medshot.load(folder, task="detection")


def test_a_damaged_image_is_named(folder):
    (folder / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1\.png: it is no \.png image"):
        medshot.load(folder)


def test_boxes_cannot_be_split_by_class(folder):
    with pytest.raises(DataError, match="by patient, not by class"):
        medshot.load(folder).only([0])


@pytest.fixture
def turned(tmp_path):
    """An image stored as 40 x 20 whose mark turns it by 90 degrees, with a bright box."""
    pixels = np.random.default_rng(0).integers(0, 60, (20, 40), dtype=np.uint8)
    pixels[2:10, 30:38] = 255  # after the turn: rows 30 to 38, columns 10 to 18
    mark = Image.Exif()
    mark[274] = 6
    Image.fromarray(pixels).save(tmp_path / "0.png", exif=mark)
    write(tmp_path, HEAD, "0.png,10,30,18,38,cell")
    return tmp_path


def test_boxes_of_an_image_with_an_orientation_mark_are_on_the_upright_image(turned):
    found = medshot.load(turned, size=40)
    left, top, right, bottom = (round(40 * v) for v in found.y[0, 0, :4].tolist())
    image = found.x[0, 0]
    assert image[top:bottom, left:right].float().mean() > 200
    assert image.float().mean() < 60
    (warning,) = [each for each in medshot.check(turned).findings if each.severity == "warning"]
    assert "1 image(s) with boxes, first 0.png, carry an orientation mark" in warning.what
    assert any("orientation mark" in note for note in found.notes)


def test_a_box_that_fits_only_the_image_as_stored_is_refused_with_the_cause(turned):
    write(turned, HEAD, "0.png,30,2,38,10,cell")
    with pytest.raises(DataError, match=r"boxes\.csv, line 2.*orientation mark") as caught:
        medshot.load(turned)
    assert "exiftool" in str(caught.value)
    (error,) = medshot.check(turned).findings
    assert error.severity == "error"


def test_without_a_mark_nothing_is_said(folder):
    assert not any("orientation" in each.what for each in medshot.check(folder).findings)
