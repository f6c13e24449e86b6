"""Which images a folder holds and what is said of each, before any is opened.

Two forms:  DIR/labels.csv with the columns path,label[,patient,split]
            DIR/CLASS/*.png ...  one folder a class
"""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from medshot.core.errors import DataError
from medshot.data.read import SUFFIXES

FORMS = (
    "A folder for medshot has either a file labels.csv with the columns path,label (and "
    "patient, split where known), or one sub-folder a class with the images in it."
)


@dataclass(frozen=True)
class Row:
    """One image: its file, its label, and what else is known of it."""

    path: Path
    label: str
    patient: str = ""
    split: str = ""
    line: int = 0  # in labels.csv; 0 for class folders


def read_manifest(folder: Path) -> list[Row]:
    """The images of `folder`, in the order of the table or of their names.

    Raises:
        DataError: neither form, a column missing, no image, a row twice, one class only.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder. {FORMS}")
    table = folder / "labels.csv"
    rows = _read_table(table) if table.is_file() else _scan(folder)
    if not rows:
        raise DataError(f"{folder} holds no images ({', '.join(SUFFIXES)}). {FORMS}")
    classes = sorted({row.label for row in rows})
    if len(classes) == 1:
        raise DataError(
            f"{folder} has only one class, {classes[0]!r}: there is nothing to tell apart. Add a "
            "second one (for example `normal`)."
        )
    return rows


def _read_table(table: Path) -> list[Row]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            _check_columns(columns, table)
            rows = [_row(values, table, reader.line_num) for values in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is no CSV file in UTF-8 ({error}). Save it again as one.") from error
    _refuse_twice(rows, table)
    return rows


def _check_columns(columns: list[str], table: Path) -> None:
    absent = {"path", "label"} - set(columns)
    if absent == {"label"} and "mask" in columns:
        raise DataError(
            f"{table} has masks, not labels: segmentation is not done yet, classification is."
        )
    if absent:
        raise DataError(
            f"{table} has no column {' or '.join(sorted(absent))} (it has: "
            f"{', '.join(columns) or 'none'}). Its first line should be: path,label,patient"
        )


def _row(values: dict[str, str], table: Path, line: int) -> Row:
    found = {name: (value or "").strip() for name, value in values.items() if isinstance(name, str)}
    if not found["path"] or not found["label"]:
        raise DataError(f"{table}, line {line}: path or label is empty. Fill it in or remove the line.")
    path = table.parent / found["path"]
    if not path.resolve().is_relative_to(table.parent.resolve()):
        raise DataError(
            f"{table}, line {line}: {found['path']} lies outside of the folder. Paths are relative "
            "to the folder of labels.csv."
        )
    guesses = [value for name, value in found.items() if name.endswith("_guess")]
    patient = found.get("patient", "") or next(iter(guesses), "")
    return Row(path, found["label"], patient, found.get("split", ""), line)


def _refuse_twice(rows: list[Row], table: Path) -> None:
    times = Counter(row.path for row in rows)
    path, most = max(times.items(), key=lambda item: item[1], default=(None, 1))
    if most > 1:
        lines = [str(row.line) for row in rows if row.path == path]
        said = sorted({row.label for row in rows if row.path == path})
        labels = f"under the labels {' and '.join(said)}" if len(said) > 1 else "with the same label"
        raise DataError(
            f"{table}: {path} stands in lines {', '.join(lines)}, {labels}. Keep one of them."
        )


def _scan(folder: Path) -> list[Row]:
    classes = sorted(d for d in folder.iterdir() if d.is_dir() and not d.name.startswith("."))
    return [
        Row(path, directory.name)
        for directory in classes
        for path in sorted(directory.rglob("*"))
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    ]
