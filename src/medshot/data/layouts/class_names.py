"""Names of the class numbers in masks, from a file in the folder.

classes.csv     number,name (other columns, as those of `medshot predict`, do not matter)
classes.json    {"1": "liver", "2": "spleen"} or {"liver": 1, "spleen": 2}; also labels.json
*.label         label descriptions of ITK-SNAP: 1 255 0 0 1 1 1 "liver"; also labels.txt
*.ctbl          a color table of 3D Slicer: 1 liver 128 174 128 255

A number called `ignore` (or unlabeled, void) marks pixels without a label.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medshot.data.layouts.content import bad
from medshot.data.tables.cells import clean

NUMBERS = ("number", "index", "id", "value", "class_id", "label_id")
UNLABELED = ("ignore", "ignored", "unlabeled", "unlabelled", "void", "not labeled")
NAMES = ("name", "label", "class", "class_name", "structure")
SNAP = re.compile(r'^\s*(\d+)(?:\s+[\d.]+){6}\s+"(.*)"\s*$', re.M)
SLICER = re.compile(r"^\s*(\d+)\s+(\S+)(?:\s+\d+){3,4}\s*$", re.M)


def class_names(folder: Path) -> dict[int, str]:
    """Name of each class number above 0; empty where no file says so.

    Raises:
        DataError: one name for two numbers.
    """
    for path, found in _tables(folder):
        names = {n: clean(str(name)) for n, name in found.items() if n > 0 and clean(str(name))}
        twice = [name for name, times in Counter(names.values()).items() if times > 1]
        if twice:
            what = f"two numbers are called {twice[0]!r}"
            raise bad(path, what, "Give each class a name of its own.")
        if names:
            return names
    return {}


def _tables(folder: Path) -> Iterator[tuple[Path, Mapping[int, Any]]]:
    """Files of the folder that name numbers, and what they say."""
    if (path := folder / "classes.csv").is_file():
        yield path, _in_csv(path.read_text("utf-8-sig", errors="replace"))
    for path in (folder / "classes.json", folder / "labels.json"):
        if path.is_file():
            yield path, _in_json(path.read_text("utf-8-sig", errors="replace"))
    for form, paths in (
        (SNAP, [*sorted(folder.glob("*.label")), folder / "labels.txt"]),
        (SLICER, sorted(folder.glob("*.ctbl"))),
    ):
        for path in paths:
            if path.is_file():
                text = path.read_text("utf-8-sig", errors="replace")
                yield path, {int(number): name for number, name in form.findall(text)}


def _in_csv(text: str) -> dict[int, str]:
    found = {}
    for row in csv.DictReader(io.StringIO(text, newline="")):
        cells = {k.strip().lower(): (v or "").strip() for k, v in row.items() if isinstance(k, str)}
        number = next((cells[c] for c in NUMBERS if c in cells), "")
        name = next((cells[c] for c in NAMES if c in cells), "")
        if number.isascii() and number.isdecimal() and name:
            found[int(number)] = name
    return found


def _in_json(text: str) -> dict[int, Any]:
    """Numbers and names in either direction; nothing for other JSON."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    found = {}
    for key, value in said.items():
        number, name = (value, key) if isinstance(value, int) else (key, value)
        if not (str(number).isdecimal() and isinstance(name, str)):
            return {}
        found[int(number)] = name
    return found
