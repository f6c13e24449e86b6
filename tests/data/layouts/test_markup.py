"""XML of annotation tools: values, and what an attacker may write."""

from pathlib import Path

import numpy as np
import pytest

import medshot
from medshot import DataError
from medshot.data.layouts.markup import parse
from medshot.data.readers.segmentation import read_image_and_mask
from toys.layouts import HEIGHT, SPOT, WIDTH, spot_picture, spot_truth

XMIN, YMIN, XMAX, YMAX = SPOT
CORNERS = [XMIN / WIDTH, YMIN / HEIGHT, XMAX / WIDTH, YMAX / HEIGHT]
VOC = f"""<annotation>
  <folder>JPEGImages</folder><filename>{{name}}</filename><path>C:\\pictures\\{{name}}</path>
  <size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>1</depth></size>
  <object><name>cell</name><pose>Unspecified</pose><truncated>0</truncated>
    <bndbox><xmin>{XMIN}</xmin><ymin>{YMIN}</ymin><xmax>{XMAX}</xmax><ymax>{YMAX}</ymax></bndbox>
  </object>
</annotation>"""
BOMB = """<?xml version="1.0"?><!DOCTYPE annotation [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><annotation><filename>&b;</filename></annotation>"""
FILE = """<?xml version="1.0"?><!DOCTYPE annotation [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<annotation><filename>&a;</filename></annotation>"""


def _voc(folder: Path, text: str = VOC) -> Path:
    (folder / "Annotations").mkdir()
    for i in range(3):
        spot_picture(folder / "JPEGImages" / f"{i}.jpg", i)
        said = text if i == 1 else VOC
        (folder / "Annotations" / f"{i}.xml").write_text(said.replace("{name}", f"{i}.jpg"))
    return folder


def test_voc(tmp_path: Path) -> None:
    data = medshot.load(_voc(tmp_path))
    assert data.y[0, 0, :4].tolist() == pytest.approx(CORNERS)
    assert "Read as Pascal VOC: 3 images, 1 class (cell), 3 boxes from Annotations." in data.notes


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (BOMB, "declares the entity"),
        (FILE, "declares the entity"),
        ("<annotation><filename>", "it is not XML"),
        (VOC.replace("{name}", "../../x.jpg"), "outside of the folder"),
        (VOC.replace(f"<width>{WIDTH}", "<width>90"), "90 x 40 there"),
        (VOC.replace(f"<xmax>{XMAX}", "<xmax>999"), "reaches out of its image"),
        (VOC.replace(f"<xmax>{XMAX}", "<xmax>wide"), "'wide' is no number"),
        (VOC.replace(f"<xmax>{XMAX}", "<xmax>nan"), "is no number"),
        (VOC.replace("bndbox", "box"), "has no bndbox"),
    ],
)
def test_voc_refused(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(DataError, match=match) as error:
        medshot.load(_voc(tmp_path, text))
    assert "1.xml" in str(error.value)


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    path.write_text(BOMB)
    with pytest.raises(DataError, match="DOCTYPE"):
        parse(path)


def _runs() -> str:
    width, height = XMAX - XMIN + 2, YMAX - YMIN
    row = np.zeros((height, width), int)
    row[:, 1:-1] = 1
    ends = np.flatnonzero(np.diff(row.ravel())) + 1
    runs = ", ".join(map(str, np.diff([0, *ends, row.size])))
    return f'rle="{runs}" left="{XMIN - 1}" top="{YMIN}" width="{width}" height="{height}"'


POINTS = f"{XMIN}.0,{YMIN}.0;{XMAX}.0,{YMIN}.0;{XMAX}.0,{YMAX}.0;{XMIN}.0,{YMAX}.0"
SHAPES = {
    "polygon": f'<polygon label="cell" occluded="0" points="{POINTS}" z_order="0"></polygon>',
    "mask": f'<mask label="cell" {_runs()}></mask>',
    "box": f'<box label="cell" xtl="{XMIN}" ytl="{YMIN}" xbr="{XMAX}" ybr="{YMAX}"></box>',
    "tag": '<tag label="ill"></tag>',
    "points": '<points label="cell" points="1,1"></points>',
}


def _cvat(folder: Path, *shapes: str, more: str = "") -> Path:
    images = ""
    for i in range(3):
        spot_picture(folder / "images" / f"{i}.png", i)
        images += f'<image id="{i}" name="{i}.png" width="{WIDTH}" height="{HEIGHT}">'
        images += "".join(SHAPES.get(shape, shape) for shape in shapes) + "</image>"
    meta = "<meta><task><labels><label><name>cell</name></label></labels></task></meta>"
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>{meta}{images}{more}'
    (folder / "annotations.xml").write_text(f"{text}</annotations>")
    return folder


@pytest.mark.parametrize("shape", ["polygon", "mask"])
def test_cvat_areas(tmp_path: Path, shape: str) -> None:
    data = medshot.load(_cvat(tmp_path, shape))
    assert data.labels == ("background", "cell")
    assert np.array_equal(read_image_and_mask(data.rows[0])[1], spot_truth())


def test_cvat_boxes_and_what_is_left_out(tmp_path: Path) -> None:
    data = medshot.load(_cvat(tmp_path, "box", "points"))
    assert data.y[0, 0, :4].tolist() == pytest.approx(CORNERS)
    assert any("3 points: neither boxes nor areas" in note for note in data.notes)


def test_cvat_tags(tmp_path: Path) -> None:
    folder = _cvat(tmp_path, "tag")
    path = folder / "annotations.xml"
    path.write_text(path.read_text().replace('"ill"', '"well"', 1))
    assert medshot.load(folder).counts() == {"ill": 2, "well": 1}


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        (SHAPES["mask"].replace('left="', 'left="9'), "do not fill"),
        (SHAPES["polygon"].replace(";", ",x,"), "is no number"),
        (SHAPES["box"].replace(f'xbr="{XMAX}"', ""), "is no number"),
        (SHAPES["box"].replace(f'xbr="{XMAX}"', 'xbr="1"'), "has no size"),
        (SHAPES["tag"] * 2, "two tags"),
    ],
)
def test_cvat_refused(tmp_path: Path, shape: str, match: str) -> None:
    with pytest.raises(DataError, match=match):
        medshot.load(_cvat(tmp_path, shape))


def test_a_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="CVAT for images"):
        medshot.load(_cvat(tmp_path, "box", more='<track id="0" label="cell"></track>'))
