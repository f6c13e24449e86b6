"""Bars, lines and scalars of a training."""

import errno
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import medshot
from medshot.core.errors import SaveError
from medshot.training import progress
from medshot.training.progress import (
    Scalars,
    bar,
    counting_fits,
    fit_done,
    progress_bar,
    quiet,
)
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


def test_off_a_terminal_the_loss_is_told_soon_and_then_now_and_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with bar(1000, 0) as tick:
        for step in range(1, 41):
            now[0] += 1
            tick(step, {"loss": 1 / step})
    lines = capsys.readouterr().err.splitlines()
    assert [re.search(r"step (\d+)/", line)[1] for line in lines] == ["4", "20", "36"]
    assert "loss 0.250  1 step" in lines[0] or "loss 0.250  1.0 s a step" in lines[0]
    assert lines[0].endswith("0:16:36 left")


def test_speed_and_time_left_are_those_since_it_began(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    for seconds, unit, said in (
        (20.0, "step", "5.0 s a step  0:02:30 left"),
        (3.2, "step", "1.25 steps/s  0:00:24 left"),
        (3.2, "second", "tried"),
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


def _read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's reader uses what NumPy deprecates
        from tensorboard.backend.event_processing.event_accumulator import (  # noqa: PLC0415
            EventAccumulator,
        )

        events = EventAccumulator(str(folder / "tensorboard"))
        events.Reload()
        tags = events.Tags()["scalars"]
        return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}


def _rows(*steps: int) -> list[dict[str, int | float]]:
    return [{"step": step, "loss": step / 8, "val_loss": step / 4} for step in steps]


def test_a_run_is_read_back(tmp_path: Path) -> None:
    run = medshot.train(build("prototypical"), blobs(), steps=5, out=tmp_path, **SMALL)
    found = _read(tmp_path)
    assert found.keys() == {"loss", "val_loss"}
    for tag, values in found.items():
        assert [step for step, _ in values] == [2, 4, 5]
        assert [v for _, v in values] == pytest.approx([row[tag] for row in run.history])


def test_after_a_resume_no_step_is_there_twice(tmp_path: Path) -> None:
    first = Scalars(tmp_path, 0)
    for row in _rows(1, 2, 3, 4):
        first.write(row)  # and killed: never closed
    with Scalars(tmp_path, 2) as second:
        for row in _rows(3, 4, 5):
            second.write(row | {"loss": 9.0})
    assert _read(tmp_path)["loss"] == [(1, 1 / 8), (2, 2 / 8), (3, 9.0), (4, 9.0), (5, 9.0)]
    first.__exit__(None, None, None)


def test_a_row_is_on_the_disk_as_soon_as_it_is_written(tmp_path: Path) -> None:
    with Scalars(tmp_path, 0) as scalars:
        for n, row in enumerate(_rows(1, 2, 3), 1):
            scalars.write(row)
            assert len(_read(tmp_path)["val_loss"]) == n


def test_without_a_row_or_a_folder_nothing_is_written(tmp_path: Path) -> None:
    with Scalars(tmp_path, 0):
        pass
    with Scalars(None, 0) as scalars:
        scalars.write(_rows(1)[0])
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.utils.tensorboard.writer import SummaryWriter  # noqa: PLC0415

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(SummaryWriter, "add_scalar", full)
    with (
        pytest.raises(SaveError, match="tensorboard: No space left"),
        Scalars(tmp_path, 0) as scalars,
    ):
        scalars.write(_rows(1)[0])


def test_fits_are_counted_wherever_they_are_made() -> None:
    seen: list[int] = []

    @contextmanager
    def watch(steps: int, done: int) -> Iterator[Callable[[int, Any], None]]:
        assert (steps, done) == (3, 0)
        yield lambda step, row: seen.append(step)

    fit_done()  # nobody counts
    with counting_fits(watch, 3):
        for _ in range(4):  # one more than was thought
            fit_done()
    fit_done()
    assert seen == [1, 2, 3, 3, 3]
