"""A folder is there whole or not at all."""

import tempfile
from pathlib import Path

import pytest

from medshot.core.atomic import new_folder
from medshot.core.errors import DataError, SaveError


def _fill(folder: Path) -> None:
    folder.mkdir()
    (folder / "a").write_text("a")


def test_it_appears_when_the_work_is_done(tmp_path: Path) -> None:
    out = tmp_path / "new" / "model"
    with new_folder(out) as staging:
        _fill(staging)
        assert not out.exists()
    assert (out / "a").read_text() == "a"
    assert [path.name for path in out.parent.iterdir()] == ["model"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    with new_folder(tmp_path) as staging:
        _fill(staging)
    assert (tmp_path / "a").exists()


def test_nothing_stays_of_work_that_failed(tmp_path: Path) -> None:
    def work() -> None:
        with new_folder(tmp_path / "deep" / "down" / "model") as staging:
            _fill(staging)
            raise DataError("no")

    with pytest.raises(DataError, match="no"):
        work()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_of_ours(tmp_path: Path) -> None:
    def work() -> None:
        with new_folder(tmp_path / "model") as staging:
            _fill(staging)
            raise OSError(28, "No space left on device")

    with pytest.raises(SaveError, match=r"model: No space left on device\. Free some space"):
        work()
    assert list(tmp_path.iterdir()) == []


def test_a_taken_or_closed_place_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(out: Path) -> None:
        with new_folder(out):
            pytest.fail("the work began")

    _fill(tmp_path / "taken")
    with pytest.raises(SaveError, match="exists already"):
        work(tmp_path / "taken")
    with pytest.raises(SaveError, match="Could not write"):
        work(tmp_path / "taken" / "a" / "model")

    def refuse(**_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(SaveError, match="choose a place where you may write"):
        work(tmp_path / "model")
