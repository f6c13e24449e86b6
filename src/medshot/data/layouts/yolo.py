"""YOLO text files: a class number and a box, or a polygon, in shares of the image.

Source: https://docs.ultralytics.com/datasets/detect/ and /segment/: a line is `class x y width
height` with the center of the box, or `class x1 y1 x2 y2 x3 y3 ...`, a file beside its image or in
a folder `labels` for the folder `images`. Names are in data.yaml, classes.txt or obj.names.
"""

import ast
import re
from pathlib import Path

from medshot.core import DataError
from medshot.data.io.image import upright_size
from medshot.data.layouts.content import Content, Listing, bad, counted, number
from medshot.data.layouts.parts import part_of, training_part
from medshot.data.layouts.regions import Annotated, Region, outline_of, with_regions

LISTS = ("classes.txt", "obj.names", "labels.txt", "_darknet.labels", "class_names.txt")
NUMBERS = re.compile(r"\d+(\.0+)?(\s+[-+]?[\d.]+([eE][-+]?\d+)?)+")
BOX = 5  # numbers of a box
BEYOND = 0.01  # share of the image that rounding may add
IN_SHARES = "A line is `class x y width height`, all in shares of the image from 0 to 1."
HOMES = 3  # folders upwards in which names of classes are looked for


def yolo(listing: Listing) -> Content | None:
    """Content of a folder of images with a text file of boxes or polygons each."""
    texts = {path for path in listing.with_suffix(".txt") if path.name not in LISTS}
    named = next((f for f in _names_files(listing) if f.parent == listing.folder), None)
    pairs = {image: found for image in listing.images if (found := _label_file(image, texts))}
    filled = [text for text in pairs.values() if text.stat().st_size]
    first = next((line for t in filled for line in _lines(t)), "")
    if not pairs or (named is None and not NUMBERS.fullmatch(first)):
        return None
    names, source = _names(listing)
    images = [(part_of(image, listing.folder), image) for image in listing.images]
    wanted = {text.parent for text in pairs.values()}
    images = [(part, image) for part, image in images if image in pairs or _home(image) in wanted]
    chosen, part, issues = training_part(images, listing.folder)
    read = [_annotated(image, pairs.get(image), names, source, part) for image in chosen]
    without = sum(image not in pairs for image in chosen)
    more = "" if names else "; without classes.txt or data.yaml the classes are called by number"
    if without:
        said = "is taken as one" if without == 1 else "are taken as images"
        more += f"; {counted(without, 'image')} without a .txt {said} without objects"
    named_by = source or next(iter(pairs.values())).parent
    boxes = any(region.box for image in read for region in image.regions)
    return with_regions(
        "YOLO", named_by, read, names=names, boxes_first=boxes, issues=issues, more=more
    )


def _home(image: Path) -> Path:
    """Folder of the text files for the images of a folder."""
    parts = list(image.parent.parts)
    for i in range(len(parts) - 1, -1, -1):
        if parts[i].lower() == "images":
            return Path(*parts[:i], "labels", *parts[i + 1 :])
    return image.parent


def _label_file(image: Path, texts: set[Path]) -> Path | None:
    for home in (_home(image), image.parent):
        at = home / f"{image.stem}.txt"
        if at in texts or (home != image.parent and at.is_file()):
            return at
    return None


def _lines(text: Path) -> list[str]:
    try:
        return [line.strip() for line in text.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        return []


def _names_files(listing: Listing) -> list[Path]:
    """Files that may name classes: in the folder, then upwards."""
    homes = [listing.folder, *list(listing.folder.resolve().parents)[: HOMES - 1]]
    found = []
    for home in homes:
        yamls = [home / "data.yaml", home / "data.yml", home / "dataset.yaml"]
        if home == listing.folder:
            yamls += sorted({*home.glob("*.yaml"), *home.glob("*.yml")} - set(yamls))
        found += [f for f in (*yamls, *(home / name for name in LISTS)) if f.is_file()]
    inside = [f for f in listing.files if f.name in LISTS and f not in found]
    return [*found, *inside]


def _names(listing: Listing) -> tuple[list[str], Path | None]:
    for path in _names_files(listing):
        found = _in_yaml(path) if path.suffix in (".yaml", ".yml") else _lines(path)
        if found:
            return found, path
    return [], None


def _in_yaml(path: Path) -> list[str]:
    """Value of `names` in data.yaml: a list or numbered names, in one line or in several."""
    text = path.read_text("utf-8-sig", errors="replace")
    found = re.search(r"^names\s*:[ \t]*(\[[^\]]*\]|\{[^}]*\})?", text, re.M)
    if not found:
        return []
    if found[1]:
        key = r"\d+\s*:\s*" if found[1].startswith("{") else r"\s*"
        cells = re.findall(key + r"('[^']*'|\"[^\"]*\"|[^,\s][^,]*)", found[1][1:-1])
        return [_unquoted(cell.strip()) for cell in cells]
    names = []
    for line in text[found.end() :].splitlines()[1:]:
        bare = line.partition(" #")[0].rstrip()
        item = re.fullmatch(r"\s*(?:-|\d+\s*:)\s*(.+)", bare)
        if bare and not item:
            break
        names += [_unquoted(item[1].strip())] if item else []
    return names


def _unquoted(name: str) -> str:
    if name[:1] in "'\"" and name[:1] == name[-1:]:
        try:
            return str(ast.literal_eval(name))
        except (ValueError, SyntaxError):
            return name[1:-1]
    return name


def _annotated(
    image: Path, text: Path | None, names: list[str], source: Path | None, part: str
) -> Annotated:
    if text is None:
        return Annotated(image, image, split=part)
    try:
        width, height = upright_size(image)
    except DataError:
        return Annotated(image, text, split=part, size=(1, 1))  # its reader says what is wrong
    regions = []
    for n, line in enumerate(_lines(text), 1):
        where = f"line {n}"
        cells = line.split()
        values = [number(cell, text, where) for cell in cells]
        if values[0] != int(values[0]) or values[0] < 0:
            what = f"{where}: the class {cells[0]} is no number of a class"
            raise bad(text, what, IN_SHARES)
        if names and values[0] >= len(names):
            what = f"{where} has the class {int(values[0])}, and {source} names {len(names)}"
            raise bad(text, what, "Classes are numbered from 0: add its name.")
        label = names[int(values[0])] if names else str(int(values[0]))
        if len(values) == BOX + 1:
            what = f"{where} has six numbers: a prediction with its score, not a label"
            raise bad(text, what, IN_SHARES)
        if len(values) < BOX or (len(values) > BOX and len(values) % 2 == 0):
            raise bad(text, f"{where} has {len(values)} numbers", IN_SHARES)
        if min(values[1:]) < -BEYOND or max(values[1:]) > 1 + BEYOND:
            beyond = next(v for v in values[1:] if not -BEYOND <= v <= 1 + BEYOND)
            raise bad(text, f"{where}: {beyond:g} is not between 0 and 1", IN_SHARES)
        regions.append(_region(label, values[1:], (width, height), text, where))
    return Annotated(image, text, tuple(regions), split=part)


def _region(
    label: str, values: list[float], size: tuple[int, int], text: Path, where: str
) -> Region:
    width, height = size
    if len(values) >= BOX:
        scaled = [v * (height if i % 2 else width) for i, v in enumerate(values)]
        return Region(label, where, outlines=(outline_of(scaled, text, where),))
    x, y, w, h = values
    if w <= 0 or h <= 0:
        raise bad(text, f"{where}: the box has no size", IN_SHARES)
    xs = [max(0.0, (x - w / 2) * width), min(float(width), (x + w / 2) * width)]
    ys = [max(0.0, (y - h / 2) * height), min(float(height), (y + h / 2) * height)]
    if xs[0] < -BEYOND * width or x - w / 2 < -BEYOND or x + w / 2 > 1 + BEYOND:
        raise bad(text, f"{where}: the box reaches out of the image", IN_SHARES)
    if y - h / 2 < -BEYOND or y + h / 2 > 1 + BEYOND:
        raise bad(text, f"{where}: the box reaches out of the image", IN_SHARES)
    return Region(label, where, (xs[0], ys[0], xs[1], ys[1]))
