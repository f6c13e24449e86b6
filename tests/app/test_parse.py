"""`--data A B C` is `--data A --data B --data C`."""

import sys
from pathlib import Path

import pytest

from medshot.app.parse import KINDS, WORDS, program, python, spread, typed
from medshot.core.task import TASKS
from medshot.data.readers.registry import FOLDERS


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        ("train x --data A B C --out R", "train x --data A --data B --data C --out R"),
        ("train --data A --data B x", "train --data A --data B --data x"),
        ("train x --data A --data B --steps 2", "train x --data A --data B --steps 2"),
        ("train x --data=A B --out R", "train x --data=A --data B --out R"),
        ("evaluate run --data A -- B", "evaluate run --data A -- B"),
        ("predict m A B --out f.csv", "predict m A B --out f.csv"),
        ("train x --data", "train x --data"),
        ("", ""),
    ],
)
def test_several_values_after_one_option(given: str, spelled: str) -> None:
    assert spread(given.split()) == spelled.split()


def test_the_command_is_repeated_as_typed_ready_to_paste() -> None:
    before = WORDS.set(("adapt", "my images", "--out", "m"))
    assert typed() == "medshot adapt 'my images' --out m"
    WORDS.reset(before)


def test_what_is_printed_to_type_next_starts_medshot_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert program() == "medshot"
    monkeypatch.setenv("PATH", str(tmp_path))
    script = tmp_path / "my tools" / "medshot"
    script.parent.mkdir()
    script.write_text("")
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert program() == f"'{script}'"
    monkeypatch.setattr(sys, "argv", ["/somewhere/medshot/__main__.py"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "a b" / "python"))
    assert program() == f"'{tmp_path / 'a b' / 'python'}' -m medshot"
    here = tmp_path / "python"
    here.write_text("")
    here.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(here))
    assert python() == "python"


def test_the_help_of_task_lists_what_is_registered_and_can_be_read() -> None:
    assert tuple(TASKS.all()) == KINDS
    assert set(KINDS) <= set(FOLDERS.all())
