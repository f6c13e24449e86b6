"""XML of annotation tools: Pascal VOC, one file an image, and CVAT for images 1.1.

Sources: Everingham et al. 2010, IJCV 88, 303-338 (VOC development kit), and
https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/. A file that declares an entity is
refused: expanding entities can fill the memory, or read other files.
"""

import math
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from xml.parsers import expat

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from medshot.core import DataError
from medshot.data.layouts.content import Content, Listing, bad, number, numbers, text_of
from medshot.data.layouts.parts import PARTS, part_of, training_part
from medshot.data.layouts.regions import (
    Annotated,
    Region,
    outline_of,
    unmarked,
    unread_shapes,
    with_regions,
)

AGAIN = "Export it again."
START = 4096  # bytes in which the root element must begin


def parse(path: Path) -> ET.Element:
    """Parse an XML file without entities of its own.

    Raises:
        DataError: no XML, or a declared entity.
    """
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse(*declared: Any) -> None:
        what = f"it declares the entity {str(declared[0])[:40]!r}, which may expand without end"
        raise bad(path, what, "Remove its DOCTYPE: annotations need none.")

    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(path.read_bytes(), True)
        return builder.close()
    except DataError:
        raise
    except (expat.ExpatError, OSError, ValueError, AssertionError) as error:
        raise bad(path, f"it is not XML ({error})", AGAIN) from error


def _begins(path: Path, root: str) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(START)
    except OSError:
        return False
    return f"<{root}>".encode() in start or f"<{root} ".encode() in start


def _text(at: ET.Element, name: str) -> str:
    return (at.findtext(name) or "").strip()


def voc(listing: Listing) -> Content | None:
    """Content of a folder with a Pascal VOC file for each image."""
    files = [f for f in listing.with_suffix(".xml") if _begins(f, "annotation")]
    if not files:
        return None
    parts = [(part_of(path, listing.folder), path) for path in files]
    chosen, part, issues = training_part(parts, listing.folder)
    images = [_voc_image(path, listing, part) for path in chosen]
    known = {image.path for image in images}
    left = [f for f in listing.images if f not in known and f.parent in {p.parent for p in known}]
    issues += unmarked(left, listing.folder, "without .xml, left out")
    return with_regions("Pascal VOC", files[0].parent, images, issues=issues)


def _voc_image(path: Path, listing: Listing, part: str) -> Annotated:
    root = parse(path)
    near = [path.parent.parent / name for name in ("JPEGImages", "images", "img", "imgs")]
    image = _image_of(path, _text(root, "filename"), listing, near)
    regions = []
    for n, each in enumerate(root.iter("object"), 1):
        where = f"object {n}"
        label, box = text_of(_text(each, "name"), path, where), each.find("bndbox")
        if box is None:
            raise bad(path, f"{where} has no bndbox", AGAIN)
        sides = [number(_text(box, s), path, where) for s in ("xmin", "ymin", "xmax", "ymax")]
        regions.append(Region(label, where, (sides[0], sides[1], sides[2], sides[3])))
    size = [_text(root, f"size/{side}") for side in ("width", "height")]
    known = None
    if all(size) and size != ["0", "0"]:
        width, height = (int(number(side, path, "size")) for side in size)
        known = (width, height)
    return Annotated(image, path, tuple(regions), size=known, split=part)


def _image_of(path: Path, given: str, listing: Listing, near: list[Path]) -> Path:
    """Image of a file by the name in it, or else by its own name."""
    homes = (path.parent, *near)
    same = [f for f in listing.images if f.stem == path.stem and f.parent in homes]
    name = given.replace("\\", "/").rpartition("/")[2] if given[1:2] == ":" else given
    try:
        return listing.find(name, path, *near)
    except DataError:
        if len(same) != 1 or ".." in given:
            raise
        return same[0]


def cvat(listing: Listing) -> Content | None:
    """Content of a folder with an export of CVAT for images."""
    files = [f for f in listing.with_suffix(".xml") if _begins(f, "annotations")]
    images, issues, order = [], [], []
    left: Counter[str] = Counter()
    for path in files:
        root = parse(path)
        if root.find("track") is not None:
            what = "it is an export of a video"
            raise bad(path, what, "Export the task as `CVAT for images 1.1`.")
        if root.find("image") is None:
            continue
        order += [_text(at, "name") for at in root.iter("label") if at.find("name") is not None]
        images += [(_part(at), _cvat_image(at, path, listing, left)) for at in root.iter("image")]
    if not images:
        return None
    chosen, _, issues = training_part(images, listing.folder)
    return with_regions(
        "CVAT for images",
        chosen[0].source,
        chosen,
        names=list(dict.fromkeys(order)),
        boxes_first=any(r.box for image in chosen for r in image.regions),
        issues=[*issues, *unread_shapes(left, files[0])],
    )


def _part(at: ET.Element) -> str:
    return PARTS.get(at.get("subset", "").lower(), "")


def _cvat_image(at: ET.Element, path: Path, listing: Listing, left: Counter[str]) -> Annotated:
    name = at.get("name", "")
    image = listing.find(name, path, path.parent / "images")
    size = [int(number(at.get(side), path, name)) for side in ("width", "height")]
    regions, label = [], ""
    for n, each in enumerate(at, 1):
        where = f"{name}, {each.tag} {n}"
        if each.tag == "tag":
            if label:
                what = f"{name} has two tags"
                raise bad(path, what, "For findings that may come together write labels.csv.")
            label = text_of(each.get("label"), path, where)
        elif each.tag in ("box", "polygon", "mask", "ellipse"):
            named = text_of(each.get("label"), path, where)
            regions.append(_cvat_region(each, named, path, where, (size[1], size[0])))
        else:
            left[each.tag] += 1
    return Annotated(image, path, tuple(regions), label, (size[0], size[1]), _part(at))


def _cvat_region(
    at: ET.Element, label: str, path: Path, where: str, shape: tuple[int, int]
) -> Region:
    def values(*names: str) -> list[float]:
        return [number(at.get(name), path, where) for name in names]

    turn = math.radians(number(at.get("rotation", "0"), path, where))
    if at.tag == "box" and not turn:
        xmin, ymin, xmax, ymax = values("xtl", "ytl", "xbr", "ybr")
        return Region(label, where, (xmin, ymin, xmax, ymax))
    if at.tag == "mask":
        runs = numbers((at.get("rle") or "").split(","), path, where)
        left, top, width, height = (int(v) for v in values("left", "top", "width", "height"))
        paint = partial(_painted, path, where, runs, (left, top, width, height))
        return Region(label, where, paint=paint)
    if at.tag == "polygon":
        points = (at.get("points") or "").replace(";", ",").split(",")
        outline = outline_of(numbers(points, path, where), path, where)
        return Region(label, where, outlines=(outline,))
    if at.tag == "box":
        xmin, ymin, xmax, ymax = values("xtl", "ytl", "xbr", "ybr")
        x, y, rx, ry = (xmin + xmax) / 2, (ymin + ymax) / 2, (xmax - xmin) / 2, (ymax - ymin) / 2
        points = [(-rx, -ry), (rx, -ry), (rx, ry), (-rx, ry)]
    else:
        x, y, rx, ry = values("cx", "cy", "rx", "ry")
        angles = [2 * math.pi * k / 64 for k in range(64)]
        points = [(rx * math.cos(a), ry * math.sin(a)) for a in angles]
    cos, sin = math.cos(turn), math.sin(turn)
    turned = tuple((x + u * cos - v * sin, y + u * sin + v * cos) for u, v in points)
    return Region(label, where, outlines=(turned,))


def _painted(
    path: Path,
    where: str,
    runs: list[float],
    place: tuple[int, int, int, int],
    shape: tuple[int, int],
) -> Bool[ndarray, "h w"]:
    """Pixels of a mask of CVAT: run lengths along the rows of its box, background first."""
    left, top, width, height = place
    whole = np.zeros(shape, bool)
    fits = 0 <= left <= left + width <= shape[1] and 0 <= top <= top + height <= shape[0]
    if not fits or min(runs) < 0 or sum(runs) != width * height:
        what = f"{where}: its run lengths do not fill {width} x {height} pixels of the image"
        raise bad(path, what, AGAIN)
    values = np.arange(len(runs)) % 2 == 1
    inner = np.repeat(values, np.array(runs, np.int64)).reshape(height, width)
    whole[top : top + height, left : left + width] = inner
    return whole
