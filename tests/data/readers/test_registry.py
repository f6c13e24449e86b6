"""Folders are told apart by their tables, or by what the user says."""

from pathlib import Path

import pytest

from medshot.core.errors import ConfigError, DataError
from medshot.core.task import TASKS
from medshot.data.readers.registry import FOLDERS, FolderKind, kind_of, reader_of


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ("path,label", "classification"),
        ("path,mask", "segmentation"),
        ("path,grade", "ordinal"),
        ("path,labels", "multi-label"),
        ("path,label,text", "classification-multimodal"),
        ("label,table.age", "classification-multimodal"),
        ("path,label,labels,grade,target", "classification"),
        ("", "classification"),
    ],
)
def test_the_first_line_of_the_table_says_the_kind(tmp_path: Path, columns: str, kind: str):
    (tmp_path / "labels.csv").write_text(columns)
    assert kind_of(tmp_path) == kind


def test_a_table_of_boxes_says_so_where_labels_have_no_other_target(tmp_path: Path):
    (tmp_path / "boxes.csv").touch()
    assert kind_of(tmp_path) == "detection"
    (tmp_path / "labels.csv").write_text("path,mask")
    assert kind_of(tmp_path) == "segmentation"


def test_the_user_has_the_last_word(tmp_path: Path):
    (tmp_path / "labels.csv").write_text("path,label,mask")
    assert kind_of(tmp_path, "segmentation") == "segmentation"
    with pytest.raises(ConfigError, match=r"'segmentatoin'.*'segmentation'"):
        kind_of(tmp_path, "segmentatoin")


def test_a_folder_of_two_kinds_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "labels.csv").write_text("path,mask")
    monkeypatch.setitem(FOLDERS, "other", FolderKind(reader_of("segmentation"), lambda _: True))
    with pytest.raises(DataError, match="--task other"):
        kind_of(tmp_path)


def test_every_kind_of_task_has_folders():
    assert callable(reader_of("classification"))
    plain = {kind.removesuffix("-3d").removesuffix("-multimodal") for kind in FOLDERS}
    assert plain == set(TASKS)
