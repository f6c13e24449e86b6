"""Checks of a folder of labeled images: files, labels, duplicates, patients, identities."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from medshot.core import DataError
from medshot.data import omniglot
from medshot.data.checks.confounders import ImageInfo, look, shortcuts
from medshot.data.checks.issue import TABLE, Issue, finding_of
from medshot.data.checks.rows import class_names, duplicates, patients
from medshot.data.io.pixels import WINDOW
from medshot.data.io.registry import (
    IMAGES,
    VOLUMES,
    dicom,
    files_below,
    is_dicom,
    volume_suffix,
)
from medshot.data.layouts import medmnist
from medshot.data.layouts.recognize import content_of, survey
from medshot.data.tables.cells import (
    clean,
)
from medshot.data.tables.delimited import table_in
from medshot.data.tables.labels import Row
from medshot.data.tables.manifest import class_folders, is_image

SLICES = (
    "With masks, list them in labels.csv (path,mask; see docs/formats.md). For labels, export "
    "slices as 16-bit PNG or TIFF from a viewer (3D Slicer, ITK-SNAP), windowed."
)
PICTURE = "Convert with Pillow or ImageMagick: magick mogrify -format png *{suffix}"
UNREAD = {  # beside volumes, for which there are readers, but no labels
    ".svs": "Export the fields of interest as PNG (QuPath, OpenSlide).",
    ".ndpi": "Export the fields of interest as PNG (QuPath, OpenSlide).",
    ".npy": "Save each array as 16-bit PNG or TIFF (tifffile.imwrite).",
    ".npz": "Save each array as 16-bit PNG or TIFF (tifffile.imwrite).",
} | dict.fromkeys((".bmp", ".gif", ".webp", ".jp2", ".heic"), PICTURE)


def strays(folder: Path, rows: Sequence[Row]) -> list[Issue]:
    """Files in `folder` other than the images of `rows`."""
    if content_of(folder):
        return []  # said by its layout
    files = files_below(folder)
    found = _unread(files)
    if not rows:
        return found
    if table_in(folder).is_file():
        return found + _unlisted(folder, [f for f in files if is_image(f)], rows)
    return found + _class_folders(folder, files, rows)


def _unread(files: Sequence[Path]) -> list[Issue]:
    unread = UNREAD | dict.fromkeys(VOLUMES.all(), SLICES)
    unread = {suffix: fix for suffix, fix in unread.items() if suffix not in IMAGES.all()}
    kinds: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        suffix = volume_suffix(file) or file.suffix.lower()
        if suffix in unread:
            kinds[suffix].append(file)
    return [
        Issue(
            "warning",
            found[0],
            None,
            f"{len(found)} file(s) of the format {suffix} are not read, first this one",
            unread[suffix].format(suffix=suffix),
        )
        for suffix, found in kinds.items()
    ]


def _unlisted(folder: Path, images: Sequence[Path], rows: Sequence[Row]) -> list[Issue]:
    listed = {row.path.resolve() for row in rows}
    homes = {parent for path in listed for parent in path.parents}
    by_home: dict[Path, list[Path]] = defaultdict(list)
    for image in images:
        if image.resolve() not in listed:
            by_home[image.parent].append(image)
    found = []
    for home, left in by_home.items():
        if home.resolve() in homes:
            what = f"{len(left)} image(s) have no valid line in {TABLE}, first this one"
            found.append(Issue("note", left[0], None, what, "List them, or leave them unused."))
        else:
            what = f"this sub-folder is ignored: none of its {len(left)} image(s) is in {TABLE}"
            found.append(Issue("note", home, None, what, "List them, or leave them unused."))
    return found


def _class_folders(folder: Path, files: Sequence[Path], rows: Sequence[Row]) -> list[Issue]:
    found = []
    loose = [file for file in files if file.parent == folder and is_image(file)]
    if loose:
        what = f"{len(loose)} image(s) are outside the class folders and ignored, first this one"
        found.append(Issue("note", loose[0], None, what, "Move them into the folder of a class."))
    labels = {row.label for row in rows}
    for home in class_folders(folder):
        if clean(home.name) not in labels:
            what = "this sub-folder is ignored: it holds no image"
            found.append(Issue("note", home, None, what, "Remove it, or put images into it."))
    nested = sorted({row.path.parent for row in rows if row.path.parent.parent != folder})
    if nested:
        what = f"images in {len(nested)} folder(s) inside class folders count for the class"
        fix = f"If these are patients, list them in the column patient of a {TABLE}."
        found.append(Issue("note", nested[0], None, what, fix))
    return found


UNEQUAL = 5  # ratio of the largest to the smallest class that gives a warning


def check_labels(folder: Path) -> list[Issue]:
    """Problems of a folder of labeled images. Near-duplicates are not searched for."""
    if omniglot.recognizes(folder):
        return _official(folder)
    if medmnist.has_labels(folder):
        return _archive(folder)
    rows, found = survey(folder)
    if folder.is_dir():
        found += strays(folder, rows)
    if rows:
        found += classes(rows) + patients(rows, folder) + _files(rows)
    return found


def classes(rows: Sequence[Row]) -> list[Issue]:
    """Warnings about the sizes and names of classes."""
    counts = Counter(row.label for row in rows)
    found = []
    for label, count in sorted(counts.items()):
        if count == 1:
            what = f"class {label!r} has one image: its score cannot be estimated"
            found.append(Issue("warning", None, None, what, "Add at least a second one."))
    (most, n), (least, m) = counts.most_common()[0], counts.most_common()[-1]
    if n >= UNEQUAL * m:
        what = f"very unequal classes: {most!r} has {n} images, {least!r} {m}"
        share = n / counts.total()
        fix = f"Use balanced accuracy: predicting {most!r} always is right in {share:.0%}."
        found.append(Issue("warning", None, None, what, fix))
    return found + class_names(counts)


def image_doubts(rows: Sequence[Row]) -> list[Issue]:
    """What readable images give away besides their content: shortcuts, and names of patients."""
    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(_try, rows))
    pairs = [(row, at) for row, at in zip(rows, seen, strict=True) if isinstance(at, ImageInfo)]
    labels = [row.label for row, _ in pairs]
    return shortcuts(labels, [at for _, at in pairs]) + _identities([row for row, _ in pairs])


def _files(rows: Sequence[Row]) -> list[Issue]:
    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(_try, rows))
    found = [finding for finding in seen if isinstance(finding, Issue)]
    pairs = [(row, at) for row, at in zip(rows, seen, strict=True) if isinstance(at, ImageInfo)]
    found += duplicates([row for row, _ in pairs], [at.digest for _, at in pairs])
    found += shortcuts([row.label for row, _ in pairs], [at for _, at in pairs])
    return found + _deep(pairs) + _misnamed(pairs) + _identities(rows)


def _deep(pairs: Sequence[tuple[Row, ImageInfo]]) -> list[Issue]:
    deep = [row for row, at in pairs if at.bits > 8]
    if not deep:
        return []
    what = f"{len(deep)} image(s) have over 8 bits per value, first this one: each is windowed"
    fix = (
        f"Values below the {WINDOW[0]} % percentile become black, those above {WINDOW[1]} % white. "
        "Export with a fixed window if absolute values (HU) matter."
    )
    return [Issue("note", deep[0].path, deep[0].line or None, what, fix)]


def _misnamed(pairs: Sequence[tuple[Row, ImageInfo]]) -> list[Issue]:
    return [
        Issue(
            "warning",
            row.path,
            row.line or None,
            f"by its content it is a {at.kind} image, not {row.path.suffix}",
            "It is read anyway; rename it.",
        )
        for row, at in pairs
        if not at.named(row.path)
    ]


def _identities(rows: Sequence[Row]) -> list[Issue]:
    medical = [row.path for row in rows if is_dicom(row.path)]
    try:
        return dicom("header").identities(medical) if medical else []
    except DataError:  # library missing: reported for every file
        return []


def _try(row: Row) -> ImageInfo | Issue:
    try:
        return look(row.path)
    except DataError as error:
        return finding_of(error, row.path, row.line or None)


def _official(folder: Path) -> list[Issue]:
    try:
        found = omniglot.load(folder)
    except DataError as error:
        return [finding_of(error, folder)]
    what = f"the official archives of Omniglot: {len(found.labels)} characters"
    return [Issue("note", folder, None, what, "; ".join(found.notes))]


def _archive(path: Path) -> list[Issue]:
    try:
        found = medmnist.load(path, "classification", None, None)
    except DataError as error:
        return [finding_of(error, path)]
    return [Issue("note", path, None, note.rstrip("."), "As read.") for note in found.notes]
