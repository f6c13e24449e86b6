"""Folders of images with metadata of Hugging Face."""

import json
from pathlib import Path
from typing import Any

import pytest

import medshot
from medshot import DataError
from toys.layouts import HEIGHT, SPOT, WIDTH, spot_mask, spot_picture


def _folder(folder: Path, *rows: dict[str, Any]) -> Path:
    lines = []
    for i, row in enumerate(rows):
        name = spot_picture(folder / f"{i}.png", i).name
        lines.append(json.dumps({"file_name": name, **row}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_a_table_in_each_split(tmp_path: Path) -> None:
    for part in ("train", "test"):
        text = "file_name,label,patient_id\n"
        for i in range(4):
            spot_picture(tmp_path / part / f"{i}.png", i)
            text += f"{i}.png,{'ab'[i % 2]},p{i // 2}\n"
        (tmp_path / part / "metadata.csv").write_text(text)
    data = medshot.load(tmp_path)
    assert data.counts() == {"a": 2, "b": 2}
    assert len(data.groups.unique()) == 2
    assert any("from the column label of metadata.csv" in note for note in data.notes)


def test_lines_of_json(tmp_path: Path) -> None:
    data = medshot.load(_folder(tmp_path, {"label": 0}, {"label": 1}, {"label": 0}))
    assert data.counts() == {"0": 2, "1": 1}


def test_objects_are_boxes(tmp_path: Path) -> None:
    xmin, ymin, xmax, ymax = SPOT
    box = {"bbox": [[xmin, ymin, xmax - xmin, ymax - ymin]], "categories": ["cell"]}
    data = medshot.load(_folder(tmp_path, {"objects": box}, {"objects": box}))
    want = [xmin / WIDTH, ymin / HEIGHT, xmax / WIDTH, ymax / HEIGHT]
    assert data.y[0, 0, :4].tolist() == pytest.approx(want)


def test_masks(tmp_path: Path) -> None:
    rows = [{"mask_file_name": f"m/{i}.png"} for i in range(3)]
    for i in range(3):
        spot_mask(tmp_path / "m" / f"{i}.png")
    data = medshot.load(_folder(tmp_path, *rows))
    assert data.counts() == {"background": 3, "foreground": 3}


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({"label": ["a", "b"]}, "several labels"),
        ({"label": 0.5}, "no class"),
        ({"caption": "a lung"}, "caption"),
        ({"objects": {"bbox": [[1, 2, 3, 4]]}}, "needs bbox and categories"),
        ({"label": "a", "file_name": "../../etc/passwd"}, "outside of the folder"),
        ({"label": "a", "file_name": "gone.png"}, "is not in the folder"),
    ],
)
def test_what_is_refused(tmp_path: Path, row: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match) as error:
        medshot.load(_folder(tmp_path, row, row))
    assert "metadata.jsonl" in str(error.value)


def test_a_broken_line(tmp_path: Path) -> None:
    folder = _folder(tmp_path, {"label": "a"}, {"label": "b"})
    with (folder / "metadata.jsonl").open("a") as file:
        file.write("{file_name: 3}\n")
    with pytest.raises(DataError, match="line 3 is not JSON"):
        medshot.load(folder)
