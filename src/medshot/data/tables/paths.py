"""Path cells as files of a folder, also where they nearly fit.

Back-slashes, other case, another Unicode form, no suffix or another one, the name of the folder
in front: read where only one file can be meant, with one remark for each cause.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from medshot.core import DataError
from medshot.data.checks.issue import Issue, finding_of, refusal
from medshot.data.io.registry import IMAGES, VOLUMES
from medshot.data.tables.cells import clean

LONGEST, LONGEST_PATH = 255, 4000  # bytes of a file name, characters of a path
SUFFIXES = (".bmp", ".gif", ".webp", ".jp2", ".dcm", ".npy", ".wav")  # beside those of the readers
BACK = "have back-slashes"
ABOVE = "begin with the name of the folder itself"
ELSEWHERE = "are absolute paths, of this or another computer"
CASE = "differ from the name of the file in capital letters or spaces"
SHORT = "lack the suffix of the file"
OTHER = "have another suffix than the file"
FIXES = {
    BACK: "Write /.",
    ABOVE: "Paths start inside of the folder.",
    ELSEWHERE: "Paths start inside of the folder.",
    CASE: "Write them alike.",
    SHORT: "Write the whole name.",
    OTHER: "Correct them if another file is meant.",
}


class FileCells:
    """Files of `folder` by the cells of `table`, and remarks on cells that only nearly fit."""

    def __init__(self, table: Path) -> None:
        self.folder, self.table = table.parent, table
        self._found: dict[str, Path | Issue] = {}
        self._near: dict[str, list[tuple[int, str, Path]]] = defaultdict(list)

    def find(self, cell: str, line: int) -> Path:
        """The file that a cell names, which need not exist.

        Raises:
            DataError: it lies outside of the folder; several files fit; one elsewhere is meant.
        """
        if cell not in self._found:
            try:
                self._found[cell] = self._find(cell.strip(), line)
            except DataError as error:
                self._found[cell] = finding_of(error, self.table)
        found = self._found[cell]
        if isinstance(found, Issue):
            raise replace(found, line=line).error()
        return found

    def issues(self) -> list[Issue]:
        """One remark for each cause for which cells do not fit exactly."""
        found = []
        for causes, cells in self._near.items():
            line, cell, path = cells[0]
            what = f"{len(cells)} path(s) {causes}, first {cell!r}, read as {self._name(path)}"
            fix = " ".join(dict.fromkeys(FIXES[cause] for cause in causes.split(" and ")))
            found.append(Issue("warning", self.table, line, what, fix))
        return found

    def _find(self, text: str, line: int) -> Path:
        direct = self.folder / text
        if len(text) > LONGEST_PATH or any(len(os.fsencode(p)) > LONGEST for p in direct.parts):
            what = f"a path of {len(text)} characters is no name of a file ({text[:40]!r}...)"
            fix = "Look for a quotation mark that is not closed."
            raise refusal(self.table, what, fix, line).error()
        away = Path(text).is_absolute() or ".." in direct.parts
        if direct.exists() and not (away and inside(direct, self.folder)):
            return self._inside(direct, text, line)
        for changed, name in _readings(text, self.folder.resolve().name):
            for cause, paths in self._nearly(name):
                if len(paths) > 1:
                    names = " and ".join(self._name(path) for path in paths[:3])
                    what = f"{text!r} fits {len(paths)} files: {names}"
                    fix = "Write the path in full."
                    raise refusal(self.table, what, fix, line, cause="fits several").error()
                if paths:
                    if causes := [*changed, *[cause] * bool(cause)]:
                        self._near[" and ".join(causes)].append((line, text, paths[0]))
                    return self._inside(paths[0], text, line)
        if not away:
            self._refuse_elsewhere(text, line)
        return self._inside(direct, text, line)

    def _inside(self, path: Path, text: str, line: int) -> Path:
        if not inside(path, self.folder):
            raise outside(self.table, text, line).error()
        return path

    def _nearly(self, name: str) -> Iterator[tuple[str, list[Path]]]:
        """Files whose name differs in one respect; more alike first."""
        exact = self.folder / name
        yield "", [exact] if exact.exists() else []
        form = unicodedata.normalize("NFC", name)
        same = self._by_name.get(_folded(name), [])
        yield "", [path for path in same if unicodedata.normalize("NFC", self._name(path)) == form]
        yield CASE, same
        yield SHORT, self._by_stem.get(_folded(name), [])
        stem = _stem(name)
        yield OTHER, self._by_stem.get(_folded(stem), []) if stem != name else []

    def _refuse_elsewhere(self, text: str, line: int) -> None:
        """Raise `DataError` if one file of this name is in another sub-folder."""
        last = _folded(PurePosixPath(text.replace("\\", "/")).name)
        there = [path for paths in self._by_last.get(last, ()) for path in self._by_name[paths]]
        if len(there) == 1:
            what = f"{text!r} does not exist, {self._name(there[0])!r} does"
            fix = "Paths are relative to the folder: write the sub-folder too."
            raise refusal(self.table, what, fix, line, cause="in a sub-folder").error()

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self.folder.rglob("*")):
            name = self._name(path)
            if not any(part.startswith(".") for part in name.split("/")):
                found[_folded(name)].append(path)
        return found

    @cached_property
    def _by_last(self) -> dict[str, list[str]]:
        """Names in `_by_name` by their last part."""
        found: dict[str, list[str]] = defaultdict(list)
        for name in self._by_name:
            found[name.rpartition("/")[2]].append(name)
        return found

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        """Files by their name without a suffix; only images and volumes where there are others."""
        found: dict[str, list[Path]] = defaultdict(list)
        for name, paths in self._by_name.items():
            if (stem := _stem(name)) != name:
                found[stem] += [path for path in paths if path.is_file()]
        return found


def inside(path: Path, folder: Path) -> bool:
    """Whether `path`, with links resolved, lies in `folder`."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # invalid names, cyclic links
        return False


def outside(file: Path, name: str, line: int | None = None) -> Issue:
    """Problem of an image that is not in its folder."""
    return refusal(
        file,
        f"{name} lies outside of the folder" if line else "it is a link to outside of the folder",
        "Paths are relative to the folder and must lie in it: copy the file into it.",
        line,
        cause="outside",
    )


def _readings(text: str, folder: str) -> Iterator[tuple[list[str], str]]:
    """A cell as paths inside of the folder, each with what has to be changed for it."""
    slashes = text.replace("\\", "/")
    causes = [BACK] if slashes != text else []
    rooted = slashes.startswith("/") or bool(PureWindowsPath(text).drive)
    parts = [part for part in slashes.split("/") if part not in ("", ".")]
    if not rooted and ".." not in parts:
        yield causes, "/".join(parts)
    rooted = rooted or ".." in parts
    places = [i for i, part in enumerate(parts[:-1]) if part.casefold() == folder.casefold()]
    for i in reversed(places):
        if (rooted or i == 0) and ".." not in parts[i:]:
            yield [*causes, ELSEWHERE if rooted else ABOVE], "/".join(parts[i + 1 :])


def _folded(name: str) -> str:
    return clean(name).casefold()


def _stem(name: str) -> str:
    """The name without its suffix, if that is one of an image, volume or signal."""
    low = name.lower()
    known = [suffix for suffix in (*IMAGES.all(), *VOLUMES.all(), *SUFFIXES) if suffix]
    longest = max((s for s in known if s.startswith(".") and low.endswith(s)), key=len, default="")
    return name[: len(name) - len(longest)] if longest else name
