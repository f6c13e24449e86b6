"""labels.csv: images with their labels, and the problems of invalid lines."""

import csv
import io
from codecs import BOM_UTF8
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from medshot.data.checks.issue import Issue, refusal

MASKS = "For masks use `--task segmentation`; or add a column label."
FILES = {"path", "mask"}  # columns that name files
AS_CSV = (
    "Save it as comma-separated text in UTF-8 (Excel: `CSV UTF-8 (comma delimited)`; if your "
    "decimals have commas, use LibreOffice, which asks for the separator)."
)


@dataclass(frozen=True)
class Row:
    """One image: its file, its label, and other metadata."""

    path: Path
    label: str
    patient: str = ""
    split: str = ""
    line: int = 0  # in labels.csv; 0 for class folders
    mask: Path | None = None
    clean: Path | None = None  # target image, for enhancement


def columns_of(table: Path) -> list[str]:
    """Column names; empty if the table cannot be read."""
    try:
        first = table.read_bytes().decode("utf-8-sig").partition("\n")[0]
        return [name.strip() for name in next(csv.reader([first]), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def cells(table: Path, column: str) -> list[str]:
    """Nonempty cells of one column; empty if it cannot be read."""
    try:
        rows = csv.DictReader(io.StringIO(table.read_bytes().decode("utf-8-sig")))
        return [value for row in rows if (value := (row.get(column) or "").strip())]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def read_table(
    table: Path, target: str = "label", *, optional: bool = False
) -> tuple[list[Row], list[Issue]]:
    """Valid rows, and the problems of the others.

    `target` is the column required in addition to `path`: label, mask, or the task's own; or `path`
    itself. If `optional`, its cells may be empty.
    """
    try:
        raw = table.read_bytes()
        text = raw.decode("utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        return [], [refusal(table, f"it is not UTF-8 text ({error})", AS_CSV)]
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows: list[Row] = []
    findings = _form(raw, table)
    full = ("path",) if optional else ("path", target)
    try:
        columns = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        wrong = _columns(columns, table, target)
        if wrong:
            return [], [*findings, wrong]
        for values in reader:
            row, found = _row(values, table, reader.line_num, target, full)
            findings += found
            rows += [row] if row else []
    except csv.Error as error:
        findings.append(refusal(table, f"it is not a CSV file ({error})", AS_CSV, reader.line_num))
    return rows, findings + _twice(rows, table)


def inside(path: Path, folder: Path) -> bool:
    """Whether `path`, with links resolved, lies in `folder`."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # invalid names, cyclic links
        return False


def _form(raw: bytes, table: Path) -> list[Issue]:
    signs = {"a byte-order mark": raw.startswith(BOM_UTF8), "Windows line ends": b"\r" in raw}
    marks = [name for name, there in signs.items() if there]
    if not marks:
        return []
    return [Issue("note", table, None, f"it has {' and '.join(marks)}", "Read anyway.")]


def separated(columns: list[str], table: Path) -> Issue | None:
    """Problem of a table that is not separated by commas."""
    if len(columns) == 1:
        for sign, name in ((";", "semicolons"), ("\t", "tabs")):
            if sign in columns[0]:
                return refusal(table, f"its columns are separated by {name}, not commas", AS_CSV)
    return None


def _columns(columns: list[str], table: Path, target: str) -> Issue | None:
    absent = {"path", target} - set(columns)
    if not absent:
        return None
    if found := separated(columns, table):
        return found
    if absent == {"label"} and "mask" in columns:
        return refusal(table, "it has masks, not labels", MASKS)
    return refusal(
        table,
        f"it has no column {' or '.join(sorted(absent))} (it has: {', '.join(columns) or 'none'})",
        f"Its first line should be: {','.join(dict.fromkeys(('path', target, 'patient')))}",
    )


def _row(
    values: dict[str, str], table: Path, line: int, target: str, full: tuple[str, ...]
) -> tuple[Row | None, list[Issue]]:
    found = {name: (value or "").strip() for name, value in values.items() if isinstance(name, str)}
    if empty := [name for name in full if not found[name]]:
        what = f"{' and '.join(empty)} is empty"
        return None, [refusal(table, what, "Fill it in or remove the line.", line)]
    for name in {"path", target} & FILES:
        if Path(found[name]).is_absolute() or not inside(table.parent / found[name], table.parent):
            return None, [outside(table, found[name], line)]
    guesses = [value for name, value in found.items() if name.endswith("_guess")]
    patient = found.get("patient", "") or next(iter(guesses), "")
    path = table.parent / found["path"]
    mask = table.parent / found["mask"] if target == "mask" else None
    split, label = found.get("split", ""), found.get("label" if target in FILES else target, "")
    row = Row(path, label, patient, split, line, mask)
    extra = any(values.get(None) or [])  # type: ignore[call-overload]
    if not extra:
        return row, []
    fix = 'A comma in a cell needs quotes, "a, b.png",normal, and a number has a point: 3.5'
    severity = "warning" if target == "label" else "error"  # 3,5 for 3.5 would be read as 3
    return row, [Issue(severity, table, line, "it has more cells than columns", fix)]


def outside(file: Path, name: str, line: int | None = None) -> Issue:
    """Problem of an image that is not in its folder."""
    return refusal(
        file,
        f"{name} lies outside of the folder" if line else "it is a link to outside of the folder",
        "Paths are relative to the folder and must lie in it: copy the file into it.",
        line,
    )


def _twice(rows: list[Row], table: Path) -> list[Issue]:
    by_path: dict[Path, list[Row]] = defaultdict(list)
    for row in rows:
        by_path[row.path].append(row)
    return [_same(path, same, table) for path, same in by_path.items() if len(same) > 1]


def _same(path: Path, rows: list[Row], table: Path) -> Issue:
    given = sorted({row.label for row in rows})
    labels = f"under the labels {' and '.join(given)}" if len(given) > 1 else "with the same label"
    labels = "with a mask each" if rows[0].mask else labels if rows[0].label else "twice"
    lines = ", ".join(str(row.line) for row in rows)
    return refusal(
        table, f"{path} stands in lines {lines}, {labels}", "Keep one of them.", rows[1].line
    )
