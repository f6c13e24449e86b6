"""`medshot data check`: status 1 on errors, 0 otherwise, and paths whole."""

from pathlib import Path

from toys.commands import folder
from toys.fixtures import Medshot


def test_remarks_are_no_errors(medshot: Medshot, tmp_path: Path) -> None:
    checked = medshot("data", "check", folder(tmp_path / "mine"))
    assert checked.status == 0, checked.out
    assert f"warning: {tmp_path / 'mine' / 'labels.csv'}: no patient is known" in checked.out
    assert "0 error(s)" in checked.out
    assert "looking at every file" in checked.err


def test_errors_name_the_file_and_end_with_status_1(medshot: Medshot, tmp_path: Path) -> None:
    mine = folder(tmp_path / ("long-" * 20) / "mine")
    (mine / "0-0.png").write_bytes((mine / "0-0.png").read_bytes()[:60])
    (mine / "1-0.png").unlink()
    checked = medshot("data", "check", mine)
    assert checked.status == 1
    for name in ("0-0.png", "1-0.png"):
        assert str(mine / name) in checked.out
    assert "2 error(s)" in checked.out


def test_no_folder_is_an_error(medshot: Medshot, tmp_path: Path) -> None:
    assert medshot("data", "check", tmp_path / "no").status == 1
