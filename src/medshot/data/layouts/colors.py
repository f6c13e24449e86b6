"""Masks in color, or of a gray for each class: colors to class numbers over a whole folder."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy import ndarray

from medshot.core import DataError
from medshot.data.checks.stray_masks import distinct
from medshot.data.io.image import MOST_CLASSES, stored
from medshot.data.io.registry import is_dicom, volume_suffix
from medshot.data.layouts.content import DrawnRow, bad
from medshot.data.tables.labels import Row

Color = tuple[int, int, int]
BLACK: Color = (0, 0, 0)
TABLES = ("class_dict.csv", "classes.csv", "colors.csv", "colours.csv", "labelmap.txt")
BACKGROUND = ("background", "unlabeled", "unlabelled", "void", "_background_")
SIDES = (("r", "g", "b"), ("red", "green", "blue"))
JPEG = (".jpg", ".jpeg")


def numbered(
    rows: Sequence[Row], folder: Path
) -> tuple[list[Row], tuple[str, ...], tuple[str, ...]]:
    """Rows whose masks have class numbers, if they have colors, or grays that are no numbers.

    Colors are numbered over all masks: black is 0, the others follow by their value. Names are
    those of a table of colors in the folder (`name,r,g,b`), else `#rrggbb` or the gray.

    Returns:
        the rows, the names of the classes 1, 2, ..., and a note; rows as they are and nothing
        else where masks have numbers already, or cannot be read so.

    Raises:
        DataError: colors without black, and no table that names the background.
    """
    flat = [row for row in rows if _is_plain(row)]
    if not flat:
        return list(rows), (), ()
    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(lambda row: _colors_in(row.mask), flat))
    if any(colors is None for colors in seen):
        return list(rows), (), ()
    used = set().union(*(colors or () for colors in seen))
    table = _table(folder)
    if not _are_colors(used, bool(table)) or len(used) > MOST_CLASSES:
        return list(rows), (), ()
    background = next((c for c, name in table.items() if name.lower() in BACKGROUND), BLACK)
    if background not in used and not table:
        what = f"no mask of the {len(flat)} has black: which color is the background is not known"
        fix = f"Write {TABLES[0]} with name,r,g,b and a row background."
        raise bad(folder, what, fix)
    order = [*(c for c in table if c in used), *sorted(used - set(table))]
    order = [c for c in order if c != background]
    named = [table.get(color) or _name(color) for color in order]
    numbers = {background: 0} | {color: c for c, color in enumerate(order, 1)}
    new: list[Row] = []
    for row in rows:
        if _is_plain(row) and row.mask:
            draw = partial(by_color, row.mask, numbers)
            new.append(
                DrawnRow(row.path, row.label, row.patient, row.split, row.line, row.mask, draw=draw)
            )
        else:
            new.append(row)
    is_gray = all(len(set(color)) == 1 for color in used)
    said = ", ".join(
        f"{_name(c)} is {n}" + ("" if name == _name(c) else f" ({name})")
        for n, (c, name) in enumerate(zip(order, named, strict=True), 1)
    )
    kind = "have a gray a class" if is_gray else "are in color"
    return new, tuple(named), (f"Masks {kind}: {said}, {_name(background)} is background.",)


def _is_plain(row: Row) -> bool:
    """Whether the mask of a row is one image file that may hold colors."""
    drawn = isinstance(row, DrawnRow) and row.draw is not None
    return bool(
        row.mask
        and not drawn
        and not volume_suffix(row.mask)
        and row.mask.suffix.lower() not in JPEG
        and not is_dicom(row.mask)
    )


def _colors_in(path: Path | None) -> set[Color] | None:
    """Colors of a mask; None if it cannot be read, or holds too many for classes."""
    try:
        found = distinct(_rgb(stored(path, palette=True))) if path else None
    except DataError:
        return None
    if found is None or len(found) > MOST_CLASSES:
        return None
    return {(int(r), int(g), int(b)) for r, g, b in found}


def _rgb(values: Shaped[ndarray, "..."]) -> Shaped[ndarray, "h w 3"]:
    """Three channels of a mask. Raises `DataError` for values that are no 8-bit color."""
    if values.ndim == 2:
        values = values[:, :, None]
    if values.shape[2] in (2, 4):
        if values[:, :, -1].min() < values[:, :, -1].max():
            raise DataError("It is transparent in part.")
        values = values[:, :, :-1]
    if values.dtype not in (np.uint8, np.bool_):
        raise DataError("Its values are no colors.")
    return np.broadcast_to(values, (*values.shape[:2], 3))


def _are_colors(used: set[Color], known: bool) -> bool:
    """Whether these are colors, or grays that a table names."""
    grays = {color[0] for color in used if len(set(color)) == 1}
    if len(grays) < len(used):
        return True
    return known and not (grays <= set(range(MOST_CLASSES)) or grays <= {0, 255})


def _name(color: Color) -> str:
    return str(color[0]) if len(set(color)) == 1 else "#{:02x}{:02x}{:02x}".format(*color)


def by_color(
    path: Path, numbers: Mapping[Color, int], shape: tuple[int, int]
) -> UInt8[ndarray, "h w"]:
    """Read a mask in color as class numbers.

    Raises:
        DataError: it cannot be read, or has a color that is not in `numbers`.
    """
    del shape  # compared with the image by its reader
    values = _rgb(stored(path, palette=True))
    mask = np.zeros(values.shape[:2], np.uint8)
    known = np.zeros(values.shape[:2], bool)
    for color, number in numbers.items():
        here = (values == np.array(color)).all(2)
        mask[here], known = number, known | here
    if not known.all():
        raise bad(path, "it has colors that are not in the list", "Load the folder again.")
    return mask


def _table(folder: Path) -> dict[Color, str]:
    """Colors and names in a table of the folder: `name,r,g,b`, or `name:r,g,b::` of CVAT."""
    for path in (folder / name for name in TABLES):
        if not path.is_file():
            continue
        text = path.read_text("utf-8-sig", errors="replace")
        if path.suffix == ".txt":
            lines = re.findall(r"^([^#:\n]+):(\d+),(\d+),(\d+)", text, re.M)
            found = {(int(r), int(g), int(b)): name.strip() for name, r, g, b in lines}
        else:
            found = _in_csv(text)
        if found:
            return found
    return {}


def _in_csv(text: str) -> dict[Color, str]:
    found: dict[Color, str] = {}
    for row in csv.DictReader(io.StringIO(text, newline="")):
        cells = {k.strip().lower(): (v or "").strip() for k, v in row.items() if isinstance(k, str)}
        sides = next((s for s in SIDES if all(cells.get(c, "").isdigit() for c in s)), None)
        name = (
            cells.get("name") or cells.get("class") or cells.get("label") or cells.get("class_name")
        )
        if sides and name:
            r, g, b = (int(cells[side]) for side in sides)
            found[r, g, b] = name
    return found
