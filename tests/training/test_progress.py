import re
import time

import pytest
from rich.console import Console

import medshot
from medshot.training import progress
from medshot.training.progress import bar, progress_bar, quiet
from toys.training import blobs, build

SMALL = {"way": 3, "shot": 1, "query": 2, "val_every": 2, "val_episodes": 2, "device": "cpu"}


def test_quiet_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    medshot.train(build("prototypical"), blobs(), steps=4, watch=quiet, **SMALL)
    medshot.train(build("prototypical"), blobs(), steps=4, **SMALL)
    assert capfd.readouterr() == ("", "")


def test_where_there_is_no_terminal_the_bar_is_lines(capsys: pytest.CaptureFixture[str]) -> None:
    run = medshot.train(build("prototypical"), blobs(), steps=5, watch=bar, **SMALL)
    out, err = capsys.readouterr()
    assert not out
    lines = err.splitlines()
    for line, row in zip(lines, run.history, strict=True):
        said = f"loss {row['loss']:.3f}  validation loss {row['val_loss']:.3f}  "
        assert line.startswith(f"meta-train: step {row['step']}/5  {said}")
        assert re.search(r"(steps/s|s a step)  \d:\d\d:\d\d left$", line) or row["step"] == 5


def test_a_line_is_never_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    with bar(100000, 0) as tick:
        tick(99999, {"step": 99999, "loss": 1.0, "val_loss": 2.0})
    assert capsys.readouterr().err.startswith("meta-train: step 99999/100000  loss 1.000  vali")


def test_off_a_terminal_a_long_silence_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SILENT", 0.05)
    with progress_bar("judging [x]", "fold")(5, 0) as tick:
        tick(1, None)
        time.sleep(0.06)
        tick(2, None)
    said = capsys.readouterr().err
    assert re.fullmatch(
        r"judging \[x\]: fold 2/5  [\d.]+ (folds/s|s a fold)  0:00:\d\d left\n", said
    )


def test_speed_and_time_left_are_those_since_it_began(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    for seconds, unit, said in (
        (20.0, "step", "5.0 s a step  0:02:30 left"),
        (1.0, "step", "4 steps/s  0:00:08 left"),
        (1.0, "second", "tried"),
    ):
        with progress_bar("x", unit)(40, 6) as tick:
            now[0] += seconds
            tick(10, {"tried": 1})
        line = capsys.readouterr().err
        assert said in line
        assert (" left" in line) == (unit == "step")


def test_on_a_terminal_there_is_a_bar_with_losses_and_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminal(stderr: bool) -> Console:
        return Console(stderr=stderr, force_terminal=True, width=140)

    monkeypatch.setattr(progress, "Console", terminal)
    with bar(10, 3) as tick:
        tick(4, None)
        tick(5, {"step": 5, "loss": 1.25, "val_loss": 0.5})
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert "5/10" in shown
    assert "loss 1.250  validation loss 0.500" in shown
    assert "left" in shown
    assert "steps/s" in shown
    assert "step 5/10" not in shown
