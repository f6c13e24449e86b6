"""Reader of folders of multimodal examples: images with table columns, text or signals."""

import hashlib
from collections import Counter
from pathlib import Path

import torch

from medshot.data.checks.issue import refusal
from medshot.data.checks.rows import class_names
from medshot.data.dataset import Dataset
from medshot.data.multimodal import MultimodalPreprocessing
from medshot.data.readers.metadata import folder_metadata, read_rows, refuse_two_labels
from medshot.data.readers.registry import reads
from medshot.data.tables.columns import (
    FILES,
    Cells,
    check_columns,
    column_of,
    is_multimodal,
    kinds_of,
    rows_of,
)
from medshot.data.tables.delimited import PREFIX, table_in
from medshot.data.tables.labels import Row, refuse_missing


@reads("classification-multimodal", where=is_multimodal)
def multimodal(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the examples in labels.csv of `folder`, with a label each.

    Means and standard deviations of table columns are over all rows; labels are not used.
    """
    del channels, size  # rows have a fixed form
    table = table_in(folder)
    lines = rows_of(table)
    columns = list(next(iter(lines.values())))
    rows = [_row(table, line, cells) for line, cells in lines.items()]
    names = [name.removeprefix(PREFIX) for name in columns if name.startswith(PREFIX)]
    made = [column_of(n, [c[PREFIX + n] for c in lines.values()], table) for n in names]
    check_columns(made, table)
    form = MultimodalPreprocessing(kinds_of(columns), made)
    rows, read = read_rows(rows, lambda row: form.read(row.path))
    x = torch.stack(read)
    used = [lines[row.line] for row in rows]
    digests = [_digest(folder, cells) for cells in used]
    with_files = [i for i, cells in enumerate(used) if any(map(cells.get, FILES))]
    # not for rows without files: a few equal numbers or words may be different examples
    refuse_two_labels([rows[i] for i in with_files], [digests[i] for i in with_files])
    counts = Counter(row.label for row in rows)
    labels = tuple(sorted(counts))
    notes = tuple(doubt.sentence for doubt in class_names(counts))
    if len(labels) < 2:
        raise refusal(
            table, f"it has only one class, {rows[0].label!r}", "Add a second one."
        ).error()
    y = torch.tensor([labels.index(row.label) for row in rows])
    fields = folder_metadata(folder, rows, digests, notes=notes)
    return Dataset(x=x, y=y, labels=labels, preprocessing=form, **fields)


def _row(table: Path, line: int, cells: Cells) -> Row:
    refuse_missing({"label": cells.get("label", "")}, table, line)
    patient = cells.get("patient", "")
    return Row(table / str(line), cells["label"], patient, cells.get("split", ""), line)


def _digest(folder: Path, cells: Cells) -> str:
    """Hash of the data of an example, without its label and patient."""
    found = hashlib.sha256()
    for name, cell in sorted(cells.items()):
        if name == "text" or name.startswith(PREFIX):
            found.update(f"{name}\t{cell}\n".encode())
        elif name in FILES and cell:
            found.update((folder / cell).read_bytes())
    return found.hexdigest()
