"""A file is the old one or the new one, whole, and nothing is left beside it."""

from pathlib import Path

import pytest

from medshot.core.atomic import refuse_taken, replacing, write_text
from medshot.core.errors import SaveError


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
    with pytest.raises(SaveError, match=r"a\.txt: No space left.*unchanged"), replacing(path):
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
