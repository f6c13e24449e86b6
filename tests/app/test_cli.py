"""What holds for every command: help is quick and teaches, errors are a sentence and status 2."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medshot.app.cli import main
from toys.commands import folder
from toys.fixtures import Medshot

COMMANDS = ("adapt", "predict", "evaluate", "train", "learners", "demo", "data check")


def test_help_does_not_wait_for_pytorch() -> None:
    code = (
        "import sys; from medshot.app.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "slow = {'torch', 'numpy', 'sklearn', 'scipy', 'PIL'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("adapt", "predict", "evaluate", "train", "learners", "demo", "data"):
        assert name in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches_with_an_example_that_can_be_copied(medshot: Medshot, name: str) -> None:
    shown = medshot(*name.split(), "--help")
    assert shown.status == 0
    line = next(
        line for line in shown.out.splitlines() if line.strip().startswith(f"medshot {name}")
    )
    assert len(line.rstrip()) <= 80


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("adpt",), "adpt"),
        (("adapt", "x"), "--out"),
        (("adapt", "x", "--out", "y", "--lerner", "auto"), "--learner"),
        (("demo", "--steps", "0"), "--steps"),
        (("demo", "--steps", "many"), "--steps"),
    ],
)
def test_a_word_that_there_is_not_ends_with_status_2(
    medshot: Medshot, words: tuple[str, ...], told: str
) -> None:
    ended = medshot(*words)
    assert ended.status == 2
    assert told in ended.err
    assert "Traceback" not in ended.err


def test_what_the_disk_refuses_is_a_sentence_too(
    medshot: Medshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: object, task: object) -> None:
        del task
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("medshot.api.check.kind_of", refuse)
    assert medshot("data", "check", "there").refused("Permission denied", "there")


def test_a_polite_kill_leaves_nothing_half_done(
    medshot: Medshot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def slow(*given: object) -> None:
        del given
        assert list(tmp_path.glob(".model*"))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr("medshot.api.adapt.adapted", slow)
    ended = medshot("adapt", folder(tmp_path / "in" / "mine", (2, 2)), "--out", tmp_path / "model")
    assert ended.status == 143
    assert list(tmp_path.glob(".model*")) == []


def test_it_reads_the_words_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["medshot", "evaluate", "--protocol", "list"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert "snell17/omniglot/5w1s" in capsys.readouterr().out
