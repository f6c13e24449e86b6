"""Content of a folder that another tool wrote: rows by target, boxes, and what is said of it."""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from jaxtyping import UInt8
from numpy import ndarray

from medshot.core import DataError
from medshot.data.checks.issue import Issue, refusal
from medshot.data.tables.boxes import Box
from medshot.data.tables.labels import Row
from medshot.data.tables.manifest import files_below, is_image
from medshot.data.tables.paths import inside

LABEL, MASK, BOXES, POINTS = "label", "mask", "boxes", "points"  # targets
TEXT = {".json", ".jsonl", ".txt", ".xml", ".csv", ".tsv", ".yaml", ".yml", ".md", ".names"}
LARGEST_JSON = 2**31  # bytes
NAMED = 6  # classes that a line names


@dataclass(frozen=True)
class DrawnRow(Row):
    """Image whose mask is no file: drawn from regions, or joined from `files`, for its h x w."""

    draw: Callable[[tuple[int, int]], UInt8[ndarray, "h w"]] | None = field(
        default=None, compare=False
    )
    files: tuple[Path, ...] = ()  # masks that are joined
    is_sketch: bool = False  # `draw` gives what boxes and points say, see `data.weak_masks`


@dataclass(frozen=True)
class Content:
    """What a layout found in a folder.

    `rows` has the images of each target that the layout offers; with boxes, their boxes are in
    `boxes`. The first target is used unless a task is asked for.
    """

    layout: str
    source: Path  # file or folder by which it was recognized
    line: str = ""  # what was read as what, one clause
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    boxes: Mapping[Path, Sequence[Box]] = field(default_factory=dict)
    names: tuple[str, ...] = ()  # of the classes 1, 2, ... of masks
    issues: tuple[Issue, ...] = ()
    sources: Mapping[Path, Path] = field(default_factory=dict)  # annotation file of an image
    lines: Mapping[str, str] = field(default_factory=dict)  # instead of `line`, by target
    doubts: Mapping[str, Sequence[Issue]] = field(default_factory=dict)  # further issues, by target
    unlabeled: int | None = None  # number in masks of pixels without a label

    @property
    def target(self) -> str:
        """The target that is used where no task is asked for."""
        return next(iter(self.rows), "")

    def line_of(self, target: str) -> str:
        """What was read as what, where `target` is learned."""
        return self.lines.get(target, self.line)

    def issues_of(self, target: str) -> list[Issue]:
        """Problems where `target` is learned."""
        return [*self.issues, *self.doubts.get(target, ())]

    def notes_of(self, target: str) -> tuple[str, ...]:
        """Line and warnings, as a data set repeats them."""
        line = self.line_of(target)
        warned = [i for i in self.issues_of(target) if i.severity == "warning"]
        return (f"{line[:1].upper()}{line[1:]}.", *(i.sentence for i in warned))


@dataclass(frozen=True)
class Listing:
    """Files of a folder, by kind, listed once for all layouts."""

    folder: Path
    files: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> "Listing":
        """List `folder`."""
        return cls(folder, tuple(files_below(folder)))

    @cached_property
    def images(self) -> tuple[Path, ...]:
        """Images among the files that lie in the folder, with links resolved."""
        return tuple(
            f
            for f in self.files
            if f.suffix.lower() not in TEXT and is_image(f) and inside(f, self.folder)
        )

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in self.files:
            found.setdefault(path.name, []).append(path)
        return found

    def with_suffix(self, *suffixes: str) -> list[Path]:
        """Files with one of these suffixes."""
        return [path for path in self.files if path.suffix.lower() in suffixes]

    @cached_property
    def _parsed(self) -> dict[Path, Any]:
        """JSON files that were read, or their errors: several layouts ask for each."""
        return {}

    def json(self, path: Path, *, required: bool = False) -> Any:
        """Parse a JSON file; None where it is none, unless `required`.

        Raises:
            DataError: it is `required` and is no JSON.
        """
        if path not in self._parsed:
            try:
                if path.stat().st_size > LARGEST_JSON:
                    raise ValueError(f"it has over {LARGEST_JSON} bytes")
                self._parsed[path] = json.loads(path.read_bytes().decode("utf-8-sig"))
            except (OSError, ValueError, RecursionError) as error:
                self._parsed[path] = error
        found = self._parsed[path]
        if not isinstance(found, Exception):
            return found
        if not required:
            return None
        what = f"it is not JSON ({str(found)[:80]})"
        raise bad(path, what, "Export it again, or leave it out.") from found

    def find(self, given: Any, source: Path, *near: Path) -> Path:
        """The file that an annotation in `source` names.

        A relative path is looked up from `source`, the folders `near` and the root. Where nothing
        is there, and for the paths and addresses of other machines, the one file of that name in
        the folder is taken.

        Raises:
            DataError: no text, a path that leaves the folder, no such file, or several.
        """
        if not isinstance(given, str) or not given.strip() or "\0" in given:
            raise bad(source, f"the name of an image is {given!r}", "Write it as text.")
        text = _plain(given.strip())
        path = PurePosixPath(text)
        foreign = path.is_absolute() or text[1:2] == ":" or text != given.strip().replace("\\", "/")
        if not foreign:
            for home in (source.parent, *near, self.folder, self.folder / "images"):
                at = home / text
                if at.is_file() and inside(at, self.folder):
                    return Path(os.path.normpath(at))
            if ".." in path.parts and not inside(source.parent / text, self.folder):
                what = f"{given} lies outside of the folder"
                raise bad(source, what, "Copy the image into the folder, and name it there.")
        found = self._by_name.get(path.name, [])
        if len(found) > 1:
            names = " and ".join(str(f.relative_to(self.folder)) for f in found[:2])
            raise bad(source, f"{given} could be {names}", "Write its path from the folder.")
        if not found or not inside(found[0], self.folder):
            what = f"{given} is listed and is not in the folder"
            raise bad(source, what, "Copy it there, or take it out of the list.")
        return found[0]


def _plain(given: str) -> str:
    """Path in a name that may be an address, `/data/local-files/?d=a/b.png`, or of Windows."""
    if "://" in given or given.startswith("/data/"):
        parts = urlsplit(given)
        return unquote(parse_qs(parts.query).get("d", [parts.path])[0]) or given
    return given.replace("\\", "/")


def bad(source: Path, what: str, fix: str) -> DataError:
    """Error about an annotation file."""
    return refusal(source, what, fix).error()


def number(value: Any, source: Path, where: str) -> float:
    """A finite number. Raises `DataError` where it is not."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if isinstance(value, bool) or not math.isfinite(found):
        what = f"{where}: {str(value)[:40]!r} is no number"
        raise bad(source, what, "Correct it, or export the file again.")
    return found


def numbers(value: Any, source: Path, where: str, n: int | None = None) -> list[float]:
    """A list of finite numbers, `n` of them. Raises `DataError` where it is not."""
    if not isinstance(value, list | tuple) or (n is not None and len(value) != n):
        what = f"{where}: {str(value)[:40]} is not a list of {n or 'some'} numbers"
        raise bad(source, what, "Correct it, or export the file again.")
    return [number(each, source, where) for each in value]


def text_of(value: Any, source: Path, where: str) -> str:
    """Name of a class. Raises `DataError` where it is none."""
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        raise bad(source, f"{where}: the class is {str(value)[:40]!r}", "Give it a name.")
    return str(value).strip()


def counted(n: int, what: str) -> str:
    """`1 image`, `2 images`, `2 boxes`."""
    plural = f"{what}es" if what.endswith(("x", "s")) else f"{what}s"
    return f"{n} {what if n == 1 else plural}"


def classes_said(names: Sequence[str]) -> str:
    """`2 classes (a, b)`."""
    more = ", ..." if len(names) > NAMED else ""
    return f"{counted(len(names), 'class')} ({', '.join(names[:NAMED])}{more})"
