"""Text tables as people save them: encoding, separator, names of columns, and their lines.

UTF-8, UTF-16 and Windows-1252; separated by commas, semicolons, tabs or bars; with a line
`sep=;` or comments (`# ...`) before the header. Columns of medshot are found whatever their
case and spaces, and only one column may have a name.
"""

import csv
import functools
import io
import re
import unicodedata
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medshot.core import DataError
from medshot.data.checks.issue import TABLE, TABLES, Issue, refusal
from medshot.data.tables.cells import clean

AS_CSV = (
    "Save it as comma-separated text in UTF-8 (Excel: `CSV UTF-8 (comma delimited)`; LibreOffice: "
    "`Text CSV`, which asks for the separator)."
)
QUOTED = 'Close it, or write it twice if it belongs to the text: "5"" wide".'
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
PREFIX = "table."
GUESS = "_guess"
RATERS = ("mask_", "mask.")  # columns of the masks of several raters begin so
TARGETS = {"label", "mask", "target", "grade", "labels"}
NAMES = {
    *("path", "label", "patient", "split", "mask", "target", "grade", "labels", "text", "signal"),
    *("xmin", "ymin", "xmax", "ymax", "x", "y"),
}
PATIENT = ("patient_id", "patientid", "patient_code", "patient_no", "patient_nr", "patient_number")
PATIENT += ("subject", "subject_id", "subjectid", "participant", "participant_id")
WORKBOOKS = {b"PK\x03\x04": "an .xlsx or .ods workbook", b"\xd0\xcf\x11\xe0": "an .xls workbook"}
TEXTS = ("text",)  # columns whose cells may have several lines


@dataclass(frozen=True)
class Line:
    """One line: its number, its cells by column, cells beyond the last column."""

    number: int
    cells: dict[str, str]
    extra: tuple[str, ...] = ()
    short: bool = False  # fewer cells than columns


@dataclass(frozen=True)
class Delimited:
    """A table as text: names of its columns, lines that are not empty, and remarks."""

    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    issues: tuple[Issue, ...]


def table_in(folder: Path, name: str = TABLE) -> Path:
    """The table called `name` in a folder, also in other case or as .tsv or .txt.

    If there is none, or more than one, the path that it should have.
    """
    exact = folder / name
    if exact.is_file() or not folder.is_dir():
        return exact
    stem = exact.stem.casefold()
    alike = {f"{stem}{suffix}" for suffix in TABLES}
    found = [path for path in folder.iterdir() if path.name.casefold() in alike and path.is_file()]
    return found[0] if len(found) == 1 else exact


def read_delimited(table: Path) -> Delimited:
    """Read a table.

    Raises:
        DataError: it is no text, or no table; two columns have the name of one that is used.
    """
    try:
        stat = table.stat()
        return _read(table, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise refusal(table, f"it cannot be read ({error.strerror})", AS_CSV).error() from error


@functools.lru_cache(maxsize=8)
def _read(table: Path, changed: int, size: int) -> Delimited:
    del changed, size  # part of the cache key: a modified table is read again
    raw = table.read_bytes()
    text, issues = _decoded(raw, table)
    form = {"a byte-order mark": raw.startswith(BOM_UTF8), "Windows line ends": b"\r" in raw}
    if _is_quoted(text):
        form["quotation marks around its lines"] = True
        text = "\n".join(line.strip()[1:-1].replace('""', '"') for line in text.splitlines())
    separator = _separator(text)
    form[SEPARATORS.get(separator, repr(separator)) + " between its cells"] = separator != ","
    if marks := [name for name, there in form.items() if there]:
        issues.append(Issue("note", table, None, f"it has {' and '.join(marks)}", "Read anyway."))
    records = _records(text, separator, table)
    given = next(records, (0, []))[1]
    columns, renamed = _columns(given, table)
    issues += renamed
    lines = []
    for number, record in records:
        cells = dict.fromkeys(columns, "") | dict(zip(columns, record, strict=False))
        extra = tuple(filter(str.strip, record[len(columns) :]))
        lines.append(Line(number, cells, extra, len(record) < len(columns)))
        _refuse_open_quote(lines[-1], separator, table)
    return Delimited(tuple(columns), tuple(lines), tuple(issues))


def _decoded(raw: bytes, table: Path) -> tuple[str, list[Issue]]:
    for start, name in WORKBOOKS.items():
        if raw.startswith(start):
            raise refusal(table, f"it is {name}, not text", AS_CSV).error()
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif b"\0" in raw[:4]:  # of the letters of `path`, one byte in two is zero
        encodings = ["utf-16-be" if raw[:1] == b"\0" else "utf-16-le"]
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            line = text[: text.index("\0")].count("\n") + 1
            what = "it is damaged, or no text: it holds bytes that are zero"
            raise refusal(table, what, AS_CSV, line).error()
        if encoding != "cp1252":
            return text, []
        word = next(word for word in re.split(r"[\s,;|\"]+", text) if not word.isascii())
        what = f"it is not UTF-8, and is read as Windows-1252: is {word!r} right?"
        return text, [Issue("warning", table, None, what, AS_CSV)]
    raise refusal(table, "it is not UTF-8 text, nor UTF-16 or Windows-1252", AS_CSV).error()


def _is_quoted(text: str) -> bool:
    """Whether every line is one cell in quotation marks, as after saving a CSV file as CSV."""
    lines = text.splitlines()
    whole = re.compile(r'"(?:[^"]|"")*"')
    return any(sign in "".join(lines[:1]) for sign in SEPARATORS) and all(
        whole.fullmatch(line.strip()) for line in lines if line.strip()
    )


def _separator(text: str) -> str:
    """The character that gives the most columns of medshot in the header, or the most columns."""
    first = text.partition("\n")[0].strip().strip('"')
    if found := re.fullmatch(r"sep=(.)", first, re.IGNORECASE):
        return found[1]
    start = "\n".join(line for line in text.split("\n", 50) if not _is_comment(line.strip('"')))

    def fits(separator: str) -> tuple[int, int]:
        try:
            header = next(filter(any, _reader(io.StringIO(start, newline=""), separator)), [])
        except csv.Error:
            return 0, 0
        return sum(canonical(name) in NAMES for name in header), len(header)

    return max(SEPARATORS, key=fits)  # the first of equals: commas


def _reader(text: io.StringIO, separator: str) -> "csv.Reader":  # type: ignore[name-defined]
    skip = not separator.isspace()
    return csv.reader(text, delimiter=separator, strict=True, skipinitialspace=skip)


def _records(text: str, separator: str, table: Path) -> Iterator[tuple[int, list[str]]]:
    """Header and lines by number, without empty lines and comments."""
    offset = 0
    if re.match(r'"?sep=.', text, re.IGNORECASE):
        _, _, text = text.partition("\n")
        offset = 1
    reader = _reader(io.StringIO(text, newline=""), separator)
    header, start = None, 0
    try:
        for record in reader:
            start = reader.line_num
            filled = [cell for cell in record if cell.strip()]
            if not filled:
                continue
            comment = _is_comment(filled[0]) and (header is None or len(filled) == 1 < len(header))
            if comment and not (table.parent / filled[0].strip()).exists():
                continue
            header = header or record
            yield reader.line_num + offset, record
    except csv.Error as error:
        what = f"it is not a CSV file: a quotation mark is opened and not closed ({error})"
        raise refusal(table, what, QUOTED, start + 1 + offset).error() from error


def _is_comment(text: str) -> bool:
    return text.lstrip().startswith("#")


def _refuse_open_quote(line: Line, separator: str, table: Path) -> None:
    """Raise `DataError` if a cell holds the rest of its line and the next."""
    for name, cell in line.cells.items():
        if name in NAMES and name not in TEXTS and "\n" in cell and separator in cell:
            what = f"a quotation mark in the column {name} is opened and not closed"
            raise refusal(table, what, QUOTED, line.number).error()


def canonical(name: str) -> str:
    """The name of a column as medshot writes it; other names unchanged."""
    found = clean(name)
    plain = re.sub(r"[\s_-]+", "_", unicodedata.normalize("NFKC", found).casefold())
    if plain in NAMES or plain in PATIENT or plain.endswith(GUESS) or plain.startswith(RATERS):
        return plain
    start = plain[: len(PREFIX)]
    return start + found[len(PREFIX) :] if start == PREFIX else found


def _columns(given: Sequence[str], table: Path) -> tuple[list[str], list[Issue]]:
    """Names of the columns, and a note on a column that is read as `patient`."""
    columns, issues = [canonical(name) for name in given], []
    for name in dict.fromkeys(columns):
        used = name in NAMES or name in PATIENT
        used = used or name.startswith((PREFIX, *RATERS)) or name.endswith(GUESS)
        places = [i for i, column in enumerate(columns) if column == name]
        if used and len(places) > 1:
            numbers = " and ".join(str(i + 1) for i in places)
            what = f"{len(places)} columns are called {name} (columns {numbers})"
            raise refusal(table, what, "Keep one of them, or rename the others.").error()
    others = [name for name in PATIENT if name in columns]
    if others and "patient" not in columns:
        columns[columns.index(others[0])] = "patient"
        more = f", {' and '.join(others[1:])} not" if others[1:] else ""
        what = f"its column {others[0]} is read as patient{more}"
        fix = "Call it patient; if it is no patient, give it another name."
        issues.append(Issue("warning" if more else "note", table, 1, what, fix))
    return columns, issues


def other_tables(folder: Path) -> list[Issue]:
    """Tables in `folder` that could be a labels.csv and are not read."""
    found = []
    for path in sorted(folder.iterdir()):
        suffix = path.suffix.lower()
        if suffix in (".xlsx", ".xls", ".ods"):
            what = f"it is a workbook: {TABLE} is read, and this is not"
            found.append(Issue("warning", path, None, what, AS_CSV))
        elif suffix in TABLES and path.is_file():
            try:
                columns = read_delimited(path).columns
            except DataError:
                continue
            if "path" in columns and TARGETS & {*columns} and "xmin" not in columns:
                what = f"it has the columns of a {TABLE} ({','.join(columns)}) and is not read"
                found.append(Issue("warning", path, None, what, f"Call it {TABLE}."))
    return found
