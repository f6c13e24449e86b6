"""A file is the old one or the new one, whole, and nothing is left beside it."""

import tempfile
from pathlib import Path

import pytest

from medshot.core.atomic import new_folder, refuse_taken, replacing, write_text
from medshot.core.errors import DataError, SaveError


def test_text_is_written_and_replaced_in_utf8(tmp_path):
    path = tmp_path / "new folder" / "a.txt"
    for text in ("Röntgen", "µ"):
        write_text(path, text)
        assert path.read_bytes() == text.encode()
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error):
        _write_half(path, error)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.txt": "old"}


def test_a_full_disk_is_said_with_the_file_and_what_became_of_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(SaveError, match=r"a\.txt.*unchanged"), replacing(path):
        raise OSError(28, "No space left on device")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.txt": "old"}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SaveError, match=r"file/a\.txt"):
        write_text(tmp_path / "file" / "a.txt", "text")


def test_what_is_taken_is_refused_and_what_is_empty_is_not(tmp_path: Path):
    refuse_taken(tmp_path)
    refuse_taken(tmp_path / "not there")
    (tmp_path / "file").write_text("mine")
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(SaveError, match="nothing is ever overwritten"):
            refuse_taken(taken)


def _write_half(path: Path, error: type[BaseException]) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half of the ne")
        raise error


# A folder is there whole or not at all.


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

    with pytest.raises(SaveError, match=r"No space left.*Free"):
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
