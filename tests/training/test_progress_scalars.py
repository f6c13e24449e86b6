import errno
import os
import warnings
from pathlib import Path
from typing import Any

import pytest

import medshot
from medshot.core.errors import SaveError
from medshot.training.progress import Scalars
from toys.training import blobs, build

SMALL = {"way": 3, "shot": 1, "query": 2, "val_every": 2, "val_episodes": 2, "device": "cpu"}


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
        pytest.raises(SaveError, match=r"tensorboard: No space left.*resumes from its checkpoint"),
        Scalars(tmp_path, 0) as scalars,
    ):
        scalars.write(_rows(1)[0])
