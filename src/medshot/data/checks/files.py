"""Files of a folder without a class: unlisted, misplaced, or of an unsupported format."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from medshot.data.checks.issue import TABLE, Finding
from medshot.data.io.registry import IMAGES, VOLUMES, volume_suffix
from medshot.data.tables.labels import Row
from medshot.data.tables.manifest import class_folders, files_below, is_image

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
PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def strays(folder: Path, rows: Sequence[Row]) -> list[Finding]:
    """Files in `folder` other than the images of `rows`."""
    files = files_below(folder)
    found = _unread(files)
    if not rows:
        return found
    if (folder / TABLE).is_file():
        return found + _unlisted(folder, [f for f in files if is_image(f)], rows)
    return found + _class_folders(folder, files, rows)


def _unread(files: Sequence[Path]) -> list[Finding]:
    unread = UNREAD | dict.fromkeys(VOLUMES.all(), SLICES)
    unread = {suffix: mend for suffix, mend in unread.items() if suffix not in IMAGES.all()}
    kinds: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        suffix = volume_suffix(file) or file.suffix.lower()
        if suffix in unread:
            kinds[suffix].append(file)
    return [
        Finding(
            "warning",
            found[0],
            None,
            f"{len(found)} file(s) of the format {suffix} are not read, this is the first",
            unread[suffix].format(suffix=suffix),
        )
        for suffix, found in kinds.items()
    ]


def _unlisted(folder: Path, images: Sequence[Path], rows: Sequence[Row]) -> list[Finding]:
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
            found.append(Finding("note", left[0], None, what, "List them, or leave them unused."))
        else:
            what = f"this sub-folder is ignored: none of its {len(left)} image(s) is in {TABLE}"
            found.append(Finding("note", home, None, what, "List them, or leave them unused."))
    return found


def _class_folders(folder: Path, files: Sequence[Path], rows: Sequence[Row]) -> list[Finding]:
    found = []
    loose = [file for file in files if file.parent == folder and is_image(file)]
    if loose:
        what = f"{len(loose)} image(s) are outside the class folders and ignored, first this one"
        found.append(Finding("note", loose[0], None, what, "Move them into the folder of a class."))
    labels = {row.label for row in rows}
    for home in class_folders(folder):
        if home.name not in labels:
            what = "this sub-folder is ignored: it holds no image"
            found.append(Finding("note", home, None, what, "Remove it, or put images into it."))
    nested = sorted({row.path.parent for row in rows if row.path.parent.parent != folder})
    if nested:
        what = f"images in {len(nested)} folder(s) inside class folders count for the class"
        mend = f"If these are patients, list them in the column patient of a {TABLE}."
        found.append(Finding("note", nested[0], None, what, mend))
    if {label.lower() for label in labels} <= PARTS:
        what = f"the classes are called {' and '.join(sorted(labels))}: parts, not classes"
        mend = f"Give the folder of one part, or a {TABLE} with the columns path,label,split."
        found.append(Finding("warning", folder, None, what, mend))
    return found
