"""COCO JSON: boxes, polygons, run lengths, and single keypoints as centers.

Source: Lin et al. 2014, arXiv:1405.0312, and https://cocodataset.org/#format-data. Run lengths go
down the columns, begin with background, and in their short form are written in base 32 with
differences to the count before the last (`maskApi.c` of pycocotools).
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from medshot.core import DataError
from medshot.data.checks.issue import finding_of
from medshot.data.layouts.content import (
    Content,
    Listing,
    bad,
    counted,
    number,
    numbers,
    text_of,
)
from medshot.data.layouts.parts import part_in, part_of, training_part
from medshot.data.layouts.regions import (
    Annotated,
    Outline,
    Region,
    outline_of,
    unmarked,
    with_regions,
)

KEYS = ("images", "annotations", "categories")
AGAIN = "Export it again."
LARGEST = 2**28  # pixels of a mask in run lengths


def coco(listing: Listing) -> Content | None:
    """Content of a folder with COCO files: in it, in `annotations`, or one a part."""
    files = []
    for path in listing.with_suffix(".json"):
        if path.name.endswith(".coco.json"):
            listing.json(path, required=True)
        said = listing.json(path)
        if isinstance(said, dict) and all(isinstance(said.get(key), list) for key in KEYS):
            part = part_of(path, listing.folder) or part_in(path.stem)
            files.append((part, (path, said)))
    if not files:
        return None
    chosen, part, issues = training_part(files, listing.folder, lambda file: len(file[1]["images"]))
    images: list[Annotated] = []
    names: dict[str, None] = {}
    crowds = 0
    for path, said in chosen:
        crowds += _read(path, said, part, listing, images, names)
    others = sorted({p for _, (p, _) in files} - {p for p, _ in chosen})
    known = {image.path for image in images}
    homes = {image.path.parent for image in images}
    elsewhere = {p.parent for p in others}
    left = [
        f
        for f in listing.images
        if f not in known and f.parent in homes and f.parent not in elsewhere
    ]
    if not others:
        issues += unmarked(left, listing.folder, "not listed there, left out")
    more = f" and {counted(len(chosen) - 1, 'other file')}" if len(chosen) > 1 else ""
    more += f"; {counted(crowds, 'crowd')} left out" if crowds else ""
    return with_regions(
        "COCO",
        chosen[0][0],
        images,
        names=list(names),
        boxes_first=True,
        issues=issues,
        more=more,
    )


def _read(
    path: Path,
    said: dict[str, Any],
    part: str,
    listing: Listing,
    images: list[Annotated],
    names: dict[str, None],
) -> int:
    """Add images and names of classes of one file; returns its number of crowds."""
    categories: dict[Any, str] = {}
    for each in said["categories"]:
        _entry(each, path, "a category", "id", "name")
        categories[_key(each["id"], path)] = text_of(each["name"], path, f"category {each['id']}")
    listed: dict[Any, dict[str, Any]] = {}
    for each in said["images"]:
        _entry(each, path, "an image", "id", "file_name")
        if listed.setdefault(_key(each["id"], path), each) is not each:
            raise bad(path, f"two images have the id {each['id']}", AGAIN)
    order = sorted(categories, key=lambda i: (isinstance(i, str), i))
    names.update(dict.fromkeys(categories[i] for i in order))
    regions, crowds = _regions(path, said["annotations"], listed, categories)
    images += _images(path, listed, regions, part, listing)
    return crowds


def _regions(
    path: Path, annotations: list[Any], listed: dict[Any, Any], categories: dict[Any, str]
) -> tuple[dict[Any, list[Region]], int]:
    """Regions by image, and the number of crowds."""
    regions: dict[Any, list[Region]] = {i: [] for i in listed}
    crowds = 0
    for each in annotations:
        _entry(each, path, "an annotation", "image_id", "category_id")
        where = f"annotation {each.get('id', '?')}"
        image, category = _key(each["image_id"], path), _key(each["category_id"], path)
        if image not in listed or category not in categories:
            of = "category_id" if image in listed else "image_id"
            what = f"{where} has the {of} {each[of]}, which is not in the list"
            raise bad(path, what, AGAIN)
        if each.get("iscrowd"):
            crowds += 1
        else:
            regions[image].append(_region(each, categories[category], where, path))
    return regions, crowds


def _images(
    path: Path,
    listed: dict[Any, dict[str, Any]],
    regions: dict[Any, list[Region]],
    part: str,
    listing: Listing,
) -> list[Annotated]:
    """Images with their regions. Raises `DataError` where a file is not there."""
    near = (path.parent / path.stem.removeprefix("instances_"), listing.folder)
    found, missing = [], []
    for i, each in listed.items():
        size = None
        if "width" in each and "height" in each:
            width, height = (number(each[s], path, f"image {i}") for s in ("width", "height"))
            size = (int(width), int(height))
        try:
            at = listing.find(each["file_name"], path, *near)
        except DataError as error:
            missing.append(error)
            continue
        found.append(Annotated(at, path, tuple(regions[i]), size=size, split=part))
    if len(missing) > 1 and found:
        what = f"{len(missing)} of its {len(listed)} images are not in the folder (first: "
        what += f"{finding_of(missing[0], path).what})"
        raise bad(path, what, "Copy them there, or take them out of the list.")
    if missing:
        raise missing[0]
    return found


def _entry(entry: Any, path: Path, what: str, *keys: str) -> None:
    if not isinstance(entry, dict) or any(key not in entry for key in keys):
        raise bad(path, f"{what} is {str(entry)[:60]}, without {' or '.join(keys)}", AGAIN)


def _key(value: Any, path: Path) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise bad(path, f"an id is {str(value)[:40]!r}", AGAIN)
    return value


def _region(entry: dict[str, Any], label: str, where: str, path: Path) -> Region:
    drawn = entry.get("segmentation") or ()
    box = None
    if not drawn and "keypoints" in entry and not any(entry.get("bbox") or ()):
        return _point(entry, label, where, path)
    if "bbox" in entry and entry["bbox"] not in (None, []):
        x, y, width, height = numbers(entry["bbox"], path, f"{where}, bbox", 4)
        if width <= 0 or height <= 0:
            what = f"{where}: the box {entry['bbox']} has no size"
            raise bad(path, what, "A box is x, y, width and height in pixels.")
        box = (x, y, x + width, y + height)
    if isinstance(drawn, dict):
        return Region(label, where, box, paint=partial(run_lengths, path, where, drawn))
    if not isinstance(drawn, list | tuple):
        raise bad(path, f"{where}: its segmentation is {str(drawn)[:40]}", AGAIN)
    outlines: tuple[Outline, ...] = tuple(
        outline_of(numbers(each, path, where), path, where) for each in drawn
    )
    if box is None and not outlines:
        raise bad(path, f"{where} has neither bbox nor segmentation", AGAIN)
    return Region(label, where, box, outlines)


def _point(entry: dict[str, Any], label: str, where: str, path: Path) -> Region:
    """The center that a keypoint without a box marks: x, y and visibility."""
    given = numbers(entry["keypoints"], path, f"{where}, keypoints")
    seen = [given[i : i + 2] for i in range(0, len(given) - 2, 3) if given[i + 2] > 0]
    if len(given) % 3 or len(seen) != 1:
        what = f"{where}: its {len(given)} numbers are not one keypoint that is seen"
        raise bad(path, what, "Give each object x, y, 2 of its center, or a bbox.")
    return Region(label, where, point=(seen[0][0], seen[0][1]))


def run_lengths(
    path: Path, where: str, said: dict[str, Any], shape: tuple[int, int]
) -> Bool[ndarray, "h w"]:
    """Decode run lengths, `{"size": [h, w], "counts": [...] or "..."}`.

    Raises:
        DataError: they do not fill the image, or are of another size.
    """
    height, width = (int(side) for side in numbers(said.get("size"), path, where, 2))
    if (height, width) != shape:
        what = f"{where}: its run lengths are for {width} x {height} pixels, not "
        raise bad(path, f"{what}{shape[1]} x {shape[0]}", AGAIN)
    given = said.get("counts")
    counts = _short(given, path, where) if isinstance(given, str) else given
    runs = np.array(numbers(counts, path, where))
    if height * width > LARGEST or (runs < 0).any() or runs.sum() != height * width:
        what = f"{where}: its run lengths do not fill {width} x {height} pixels"
        raise bad(path, what, AGAIN)
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs.astype(np.int64)).reshape(width, height).T


def _short(text: str, path: Path, where: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        digit = ord(letter) - 48
        if not 0 <= digit < 64 or shift > 60:
            raise bad(path, f"{where}: its run lengths hold {letter!r}", AGAIN)
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            if digit & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts
