"""Recognition of layouts of other tools, and the one list of images that every reader takes.

A layout is a function from the `Listing` of a folder to its `Content`, or None if it is another
one. Tables of our own (labels.csv, boxes.csv, points.csv) come first: with them, no layout is
looked for.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from medshot.core import DataError
from medshot.data import omniglot
from medshot.data.checks.issue import TABLE, Issue, finding_of, refusal
from medshot.data.checks.skip import is_skipping, skip_or_raise
from medshot.data.io.registry import IMAGES, volume_suffix
from medshot.data.layouts.class_folders import class_folders
from medshot.data.layouts.class_names import UNLABELED, class_names
from medshot.data.layouts.coco import coco
from medshot.data.layouts.colors import numbered
from medshot.data.layouts.content import LABEL, MASK, Content, DrawnRow, Listing, counted
from medshot.data.layouts.label_studio import label_studio
from medshot.data.layouts.labelme import labelme
from medshot.data.layouts.markup import cvat, voc
from medshot.data.layouts.medical import datalist, decathlon
from medshot.data.layouts.metadata import image_folder
from medshot.data.layouts.paired import paired
from medshot.data.layouts.regions import Annotated, Region, with_regions
from medshot.data.layouts.yolo import yolo
from medshot.data.raters import TIED, apart, regrouped
from medshot.data.tables import manifest
from medshot.data.tables.boxes import BOXES as BOXES_TABLE
from medshot.data.tables.boxes import POINTS as POINTS_TABLE
from medshot.data.tables.boxes import read_boxes
from medshot.data.tables.delimited import table_in
from medshot.data.tables.labels import Row, columns_of, mask_columns

Layout = Callable[[Listing], Content | None]
ANNOTATIONS: tuple[Layout, ...] = (
    image_folder, coco, voc, cvat, label_studio, labelme, yolo, decathlon, datalist
)  # fmt: skip
BY_NAMES: tuple[Layout, ...] = (paired, class_folders)  # without an annotation file
KEPT = 8  # folders whose content is kept, as a command asks several times
TABLES = {".csv", ".tsv", ".xlsx", ".xls", ".txt", ".json", ".xml", ".yaml"}
WAYS = (
    f"Write {TABLE} (path,label or path,mask; patient where known) or {BOXES_TABLE} "
    "(path,xmin,ymin,xmax,ymax,label in pixels), or make a sub-folder for each class. "
    "Layouts of other tools that are read: docs/layouts.md."
)


def content_of(folder: Path) -> Content | None:
    """What the layout of another tool holds in `folder`; None for our own layouts and files.

    A layout that is recognized and cannot be read has no rows, and an error among its issues.
    """
    if not folder.is_dir() or _is_ours(folder):
        return None
    stats = ((f, f.stat()) for f in manifest.files_below(folder))
    return _content_of(folder, hash(tuple((f, s.st_mtime_ns, s.st_size) for f, s in stats)))


@lru_cache(maxsize=KEPT)
def _content_of(folder: Path, state: int) -> Content | None:
    del state  # files as they are now: part of the key
    listing = Listing.of(folder)
    try:
        found = [content for layout in ANNOTATIONS if (content := layout(listing))]
        found = found[:2] or [c for layout in BY_NAMES if (c := layout(listing))][:1]
    except DataError as error:
        issue = finding_of(error, folder)
        return Content("a layout that cannot be read", issue.file or folder, issues=(issue,))
    if len(found) > 1:
        what = f"it holds annotations of {found[0].layout} ({found[0].source.name}) and of "
        what += f"{found[1].layout} ({found[1].source.name})"
        fix = "Leave one of them in the folder."
        return Content("several", folder, issues=(refusal(folder, what, fix),))
    return found[0] if found else None


@dataclass(frozen=True)
class Listed:
    """Images of a folder for one target, and what was noticed.

    `names` are those of the classes 1, 2, ... of masks, if known; `called` are names of class
    numbers that a file says; `unlabeled` is the number of pixels without a label, if there is one.
    """

    rows: list[Row]
    findings: list[Issue]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unlabeled: int | None = None
    called: Mapping[int, str] = field(default_factory=dict)


_UNLABELED: ContextVar[int | None] = ContextVar("unlabeled", default=None)


@contextmanager
def unlabeled_value(number: int | None) -> Iterator[None]:
    """Within the block, pixels of this number in masks have no label; None: as the folder says."""
    token = _UNLABELED.set(_UNLABELED.get() if number is None else number)
    try:
        yield
    finally:
        _UNLABELED.reset(token)


def listed(folder: Path, target: str = LABEL, *, optional: bool = False) -> Listed:
    """Images of `folder` for `target`, in its own layout or that of another tool."""
    content = content_of(folder)
    said: tuple[str, ...] = ()
    if target == MASK and folder.is_dir() and not content:
        content = _masks_of_boxes(folder)
        said = content.notes_of(MASK) if content else ()
    names: tuple[str, ...] = ()
    unlabeled = None
    if content and (target in content.rows or not content.rows):
        rows, findings = list(content.rows.get(target, ())), content.issues_of(target)
        names, unlabeled = content.names, content.unlabeled
        classes = {row.label for row in rows}
        if target == LABEL and len(classes) == 1:
            what = f"it has only one class, {min(classes)!r}: there is nothing to tell apart"
            findings.append(refusal(content.source, what, "Add a second one."))
    else:
        rows, findings = manifest.survey(folder, target, optional=optional)
        findings = _said_better(folder, rows, findings, content)
    if _UNLABELED.get() is not None:
        unlabeled = _UNLABELED.get()
    wrong = [f for f in findings if f.severity == "error"]
    if is_skipping() and rows:
        wrong = [f for f in wrong if not f.line]
    tied = TIED if any(row.raters for row in rows) else None
    if target != MASK or wrong or names:
        return Listed(rows, findings, names, said, tied if unlabeled is None else unlabeled)
    try:
        masks, names, notes = numbered(apart(rows), folder)
        rows = regrouped(rows, masks)
        called = {} if names else class_names(folder)
        nameless = next((n for n, name in called.items() if name.lower() in UNLABELED), None)
        unlabeled = next((n for n in (unlabeled, nameless, tied) if n is not None), None)
    except DataError as error:
        return Listed([], [*findings, finding_of(error, folder)])
    findings += [Issue("note", folder, None, note.rstrip("."), "As read.") for note in notes]
    return Listed(rows, findings, names, notes, unlabeled, called)


def _masks_of_boxes(folder: Path) -> Content | None:
    """Masks made of the boxes of boxes.csv, where labels.csv names none."""
    table = table_in(folder, BOXES_TABLE)
    if not table.is_file() or mask_columns(table_in(folder)):
        return None
    boxes, findings = read_boxes(table)
    images = [
        Annotated(path, table, tuple(Region(b.label, f"line {b.line}", b.corners) for b in found))
        for path, found in boxes.items()
    ]
    try:
        made = with_regions(BOXES_TABLE, table, images, issues=findings)
    except DataError as error:
        return Content(BOXES_TABLE, table, issues=(*findings, finding_of(error, table)))
    return made


def survey(
    folder: Path, target: str = LABEL, *, optional: bool = False
) -> tuple[list[Row], list[Issue]]:
    """Usable images of `folder`, and all problems of how they are listed."""
    found = listed(folder, target, optional=optional)
    return found.rows, found.findings


def read_manifest(folder: Path, target: str = LABEL, *, optional: bool = False) -> list[Row]:
    """Images of `folder`, in the order of the table or of their names.

    Raises:
        DataError: no known layout, a column missing, no image, a duplicate row, one class only.
    """
    return without_errors(listed(folder, target, optional=optional)).rows


def without_errors(found: Listed) -> Listed:
    """`found`, or its first error; where bad rows are skipped, `found` without those of a line.

    A file that is listed several times is kept once, unless its lines give it different labels.
    """
    errors = [finding for finding in found.findings if finding.severity == "error"]
    for error in errors:
        if not (error.line and found.rows):
            raise error.error()
    skip_or_raise(errors)
    if not (errors and is_skipping()):
        return found
    first: dict[Path, Row] = {}
    labels: dict[Path, set[str]] = {}
    for row in found.rows:
        first.setdefault(row.path, row)
        labels.setdefault(row.path, set()).add(row.label)
    rows = [row for path, row in first.items() if len(labels[path]) == 1]
    others = [finding for finding in found.findings if finding not in errors]
    return replace(found, rows=rows, findings=others)


def masks_of(folder: Path) -> set[Path]:
    """Files that are masks of others by the layout of a folder, which `predict` leaves out."""
    content = content_of(folder)
    rows = content.rows.get(MASK, ()) if content else ()
    files = {file for row in rows if isinstance(row, DrawnRow) for file in row.files}
    return files | {row.mask for row in rows if row.mask}


def _tables(folder: Path) -> list[Path]:
    return [f for f in sorted(folder.iterdir()) if f.is_file() and f.suffix.lower() in TABLES]


def _is_ours(folder: Path) -> bool:
    """Whether a folder has one of our own tables, or the archives of Omniglot."""
    tables = (table_in(folder, name) for name in (TABLE, BOXES_TABLE, POINTS_TABLE))
    files = (*tables, *(folder / name for name in omniglot.ARCHIVES))
    return any(file.is_file() for file in files)


def _said_better(
    folder: Path, rows: list[Row], findings: list[Issue], content: Content | None
) -> list[Issue]:
    """Findings of our own layouts; where there is none, what is there instead."""
    if not folder.is_dir() or _is_ours(folder):
        return findings
    if rows or not any(f.severity == "error" and f.file == folder for f in findings):
        return findings
    if content:
        what = f"{content.line}: nothing in it is for this task"
        return [refusal(content.source, what, "Leave --task out, or write labels.csv.")]
    if any("DICOM series" in f.what for f in findings):
        return findings
    return [_unrecognized(folder)]


def _unrecognized(folder: Path) -> Issue:
    files = manifest.files_below(folder)
    images = sum(manifest.is_image(f) for f in files)
    volumes = sum(volume_suffix(f) is not None for f in files)
    kinds = Counter(f.suffix.lower() or "no suffix" for f in files)
    there = ", ".join(f"{n} {suffix}" for suffix, n in kinds.most_common(4)) or "nothing"
    tables = _tables(folder)
    if not images and not volumes:
        what = f"it holds no images ({', '.join(IMAGES.all())}): there is {there}"
        return refusal(folder, what, WAYS)
    held = counted(images, "image") if images else counted(volumes, "volume")
    what = f"it holds {held} and nothing that says what they show"
    if tables:
        first = tables[0]
        columns = ", ".join(columns_of(first)[:8]) if first.suffix.lower() in (".csv",) else ""
        what += f"; {first.name} is not read" + (f" (its columns: {columns})" if columns else "")
    return refusal(folder, what, WAYS)
