"""Folders of images with a metadata file: `metadata.csv` or `metadata.jsonl` of Hugging Face.

Source: https://huggingface.co/docs/datasets/image_dataset: a column `file_name` relative to the
metadata file, which lies in the folder or in one for each split.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

from medshot.data.checks.issue import Issue
from medshot.data.layouts.content import (
    LABEL,
    MASK,
    Content,
    Listing,
    bad,
    classes_said,
    counted,
    numbers,
    text_of,
)
from medshot.data.layouts.parts import part_of, training_part
from medshot.data.layouts.regions import Annotated, Region, with_regions
from medshot.data.tables.delimited import AS_CSV
from medshot.data.tables.labels import Row

NAMES = ("metadata.csv", "metadata.jsonl")
KEY = "file_name"
LABELS = ("label", "labels", "class", "category", "target", "diagnosis")
MASKS = (
    "mask",
    "mask_file_name",
    "segmentation_file_name",
    "label_file_name",
    "annotation_file_name",
)
PATIENTS = ("patient", "patient_id", "subject", "subject_id")
FORM = "Its columns are file_name and label (or mask_file_name), patient where known."


def image_folder(listing: Listing) -> Content | None:
    """Content of a folder with a metadata file."""
    files = [f for f in listing.files if f.name.lower() in NAMES]
    tables = [(part_of(f, listing.folder), (f, rows)) for f in files if (rows := _read(f))]
    if not tables:
        return None
    chosen, part, issues = training_part(tables, listing.folder)
    source = chosen[0][0]
    columns = list(dict.fromkeys(key for _, rows in chosen for row in rows for key in row))
    label, mask, patient = (_named(columns, names) for names in (LABELS, MASKS, PATIENTS))
    if "objects" in columns:
        return _with_boxes(chosen, part, listing, issues)
    if not label and not mask:
        what = f"none of its columns says what is on the images: {', '.join(columns)}"
        raise bad(source, what, FORM)
    rows = [
        _row(each, path, n, listing, (label, mask, patient), part)
        for path, those in chosen
        for n, each in enumerate(those, 2)
    ]
    rows = [row for row in rows if row.label or row.mask]
    target = MASK if mask and not label else LABEL
    offers = {target: rows}
    if mask and label:
        offers[MASK] = [row for row in rows if row.mask]
    what = "a mask each" if target == MASK else classes_said(sorted({r.label for r in rows}))
    line = f"read as an image folder with metadata: {counted(len(rows), 'image')}, {what} "
    line += f"from the column {label or mask} of {source.name}"
    return Content("image folder", source, line, offers, issues=tuple(issues))


def _read(path: Path) -> list[dict[str, Any]]:
    """Rows of a metadata file; empty if it has no column file_name."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise bad(path, f"it is not UTF-8 text ({error})", AS_CSV) from error
    rows: list[dict[str, Any]] = []
    if path.suffix.lower() == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if KEY not in (reader.fieldnames or ()):
            return []
        try:
            rows = [{k: v for k, v in row.items() if isinstance(k, str)} for row in reader]
        except csv.Error as error:
            raise bad(path, f"it is not a CSV file ({error})", AS_CSV) from error
        return rows
    for n, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise bad(
                path, f"line {n} is not JSON ({error})", "Write one object a line."
            ) from error
        if not isinstance(row, dict) or KEY not in row:
            raise bad(path, f"line {n} has no {KEY}", FORM)
        rows.append(row)
    return rows


def _named(columns: list[str], names: tuple[str, ...]) -> str:
    return next((c for name in names for c in columns if c.lower() == name), "")


def _row(
    each: dict[str, Any],
    path: Path,
    line: int,
    listing: Listing,
    columns: tuple[str, str, str],
    part: str,
) -> Row:
    label, mask, patient = (each.get(column) if column else None for column in columns)
    where = f"row {line}"
    if isinstance(label, list):
        what = f"{where}: several labels, {str(label)[:40]}"
        raise bad(path, what, "Write them in labels.csv, column labels: `edema;effusion`.")
    if isinstance(label, float) and not label.is_integer():
        what = f"{where}: the label {label} is no class"
        raise bad(path, what, "Write measurements in labels.csv, column target.")
    named = (
        ""
        if label in (None, "")
        else text_of(int(label) if isinstance(label, float) else label, path, where)
    )
    drawn = listing.find(mask, path) if isinstance(mask, str) and mask.strip() else None
    whose = "" if patient is None else str(patient).strip()
    return Row(listing.find(each.get(KEY), path), named, whose, part, 0, drawn)


def _with_boxes(
    chosen: list[tuple[Path, list[dict[str, Any]]]],
    part: str,
    listing: Listing,
    issues: list[Issue],
) -> Content:
    """Boxes in `objects`: {"bbox": [[x, y, width, height], ...], "categories": [...]}."""
    images = []
    for path, rows in chosen:
        for n, row in enumerate(rows, 1):
            said, where = row.get("objects"), f"line {n}"
            boxes = said.get("bbox") if isinstance(said, dict) else None
            keys = ("categories", "category", "label", "labels")
            named = next((said[k] for k in keys if isinstance(said, dict) and k in said), None)
            if (
                not isinstance(boxes, list)
                or not isinstance(named, list)
                or len(boxes) != len(named)
            ):
                what = f"{where}: objects needs bbox and categories, one for each box"
                raise bad(path, what, "Or write boxes.csv.")
            regions = []
            for k, (box, name) in enumerate(zip(boxes, named, strict=True), 1):
                x, y, width, height = numbers(box, path, f"{where}, box {k}", 4)
                label = text_of(name, path, f"{where}, box {k}")
                regions.append(Region(label, f"{where}, box {k}", (x, y, x + width, y + height)))
            at = listing.find(row[KEY], path)
            images.append(Annotated(at, path, tuple(regions), split=part))
    return with_regions("image folder with metadata", chosen[0][0], images, issues=issues)
