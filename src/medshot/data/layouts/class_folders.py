"""Folders of classes with something else among them: parts of the data set, or masks."""

from pathlib import Path

from medshot.data.checks.issue import Issue
from medshot.data.checks.stray_masks import are_masks, masks_by_suffix
from medshot.data.layouts.content import LABEL, MASK, Content, Listing, bad, classes_said, counted
from medshot.data.layouts.paired import paired_by_name
from medshot.data.layouts.parts import PARTS, part_of, training_part
from medshot.data.tables.labels import Row

HOW = "Name masks in labels.csv (path,mask), or say --task segmentation to learn them."
NOTHING = (
    "Give one folder a class in each part, a labels.csv (path,label,split), or boxes "
    "(boxes.csv, YOLO, COCO). See docs/layouts.md."
)


def class_folders(listing: Listing) -> Content | None:
    """Content of folders of classes that are inside parts, or hold masks beside their images."""
    images = [f for f in listing.images if f.parent != listing.folder]
    tops = {f.relative_to(listing.folder).parts[0] for f in images}
    parts = {PARTS[name.lower()] for name in tops if name.lower() in PARTS}
    in_parts = bool(tops) and (
        all(name.lower() in PARTS for name in tops) or ("train" in parts and len(parts) > 1)
    )
    named = masks_by_suffix(images)
    if not in_parts and not named:
        return None
    strays = named if named and are_masks(named) else {}
    issues: list[Issue] = []
    if named and not strays:
        what = f"{counted(len(named), 'file')} named as masks of another file, and no masks by "
        what += f"their values, first {min(named).name}: taken as images"
        issues.append(Issue("warning", min(named), None, what, "Rename them if they are images."))
    given = [f for f in images if f not in strays]
    listed = [(part_of(f, listing.folder), (f, _class(f, listing.folder, in_parts))) for f in given]
    others = sorted(name for name in tops if in_parts and name.lower() not in PARTS)
    if others:
        what = f"{' and '.join(others)} beside train: no part, left out"
        fix = "Move it into a part if it belongs to the data set."
        issues.append(Issue("warning", listing.folder / others[0], None, what, fix))
    if in_parts:
        listed = [(part, pair) for part, pair in listed if part]
    chosen, part, left = training_part(listed, listing.folder)
    loose = [f for f, label in chosen if not label]
    if loose or (in_parts and len({label for _, label in chosen}) < 2):
        what = f"{' and '.join(sorted(tops))} are called like parts, not classes, and nothing "
        first = (loose or [chosen[0][0]])[0].relative_to(listing.folder)
        what += f"says what is on the images (first {first})"
        raise bad(listing.folder, what, NOTHING)
    rows = [Row(f, label, split=part) for f, label in chosen]
    offers = {LABEL: rows}
    line = f"read as class folders: {counted(len(rows), 'image')}, "
    line += classes_said(sorted({row.label for row in rows}))
    line += f" in {part}" if in_parts else ""
    names: tuple[str, ...] = ()
    lines, doubts = {LABEL: line}, {}
    if strays:
        masks = paired_by_name(images, listing)
        if masks and MASK in masks.rows:
            offers[MASK], names = list(masks.rows[MASK]), masks.names
            lines[MASK], doubts[MASK] = masks.line, masks.issues
        what = f"{counted(len(strays), 'mask')} beside the images left out (first "
        what += f"{min(strays).name}): named as their neighbor, with few values, of its size"
        doubts[LABEL] = (Issue("warning", min(strays), None, what, HOW),)
    return Content(
        "class folders",
        listing.folder,
        line,
        offers,
        names=names,
        issues=(*left, *issues),
        lines=lines,
        doubts=doubts,
    )


def _class(path: Path, folder: Path, in_parts: bool) -> str:
    """Name of the class folder of an image; "" if it lies in none."""
    names = path.relative_to(folder).parts[:-1]
    if in_parts:
        at = next((i for i, name in enumerate(names) if name.lower() in PARTS), -1)
        names = names[at + 1 :]
    return names[0] if names else ""
