import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import medshot
from medshot.core.errors import ConfigError, SaveError
from medshot.training.checkpoint import FILE
from medshot.training.run import is_run
from toys.training import SIZE, blobs, build, conv4

SMALL = {
    "way": 3,
    "shot": 1,
    "query": 2,
    "steps": 2,
    "val_every": 2,
    "val_episodes": 2,
    "device": "cpu",
}


def _train(out: Path, **other: Any) -> medshot.Run:
    learner = other.pop("learner", None) or build("prototypical")
    data = other.pop("data", None) or blobs()
    return medshot.train(learner, data, out=out, **SMALL | other)


def test_a_run_comes_back_from_its_folder(tmp_path: Path) -> None:
    run = _train(tmp_path / "new" / "run")
    found = medshot.load_run(tmp_path / "new" / "run")
    assert is_run(tmp_path / "new" / "run")
    assert not is_run(tmp_path)
    assert found.history == run.history
    assert found.learner.origin == run.learner.origin
    assert not any(module.training for module in found.learner.modules())
    assert found.about["versions"]["torch"] == torch.__version__
    for name, tensor in run.learner.state_dict().items():
        assert torch.equal(found.learner.state_dict()[name], tensor)


def test_the_record_says_all_that_must_be_the_same_to_go_on(tmp_path: Path) -> None:
    _train(tmp_path)
    about = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert list(about) == ["learner", "train", "val", "steps", "settings", "seen", "versions"]
    assert about["settings"] == {
        "way": 3,
        "shot": 1,
        "query": 2,
        "meta_batch": 1,
        "lr": 1e-3,
        "halve_every": None,
        "val_every": 2,
        "val_episodes": 2,
        "patience": None,
        "seed": 0,
        "bf16": False,
        "channels_last": False,
        "workers": 1,
        "vectorise": None,
        "terms": [],
    }


def test_without_a_folder_an_unregistered_encoder_will_do() -> None:
    class Plain(nn.Module):
        n_features = 4

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(SIZE * SIZE, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x.flatten(1))

    learner = medshot.build("prototypical", encoder=Plain())
    run = medshot.train(learner, blobs(), **SMALL)
    assert run.folder is None
    assert len(run.history) == 1


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"lr": 0.5}, r"settings\.lr was 0\.001 and is 0\.5"),
        ({"seed": 3}, r"settings\.seed was 0 and is 3"),
        ({"way": 2}, r"way was 3 and is 2"),
        ({"patience": 2}, r"settings\.patience was None and is 2"),
        ({"learner": "maml"}, r"learner\.part was learner/prototypical and is learner/maml"),
        ({"learner": "batch"}, r"learner\.options\.encoder\.options\.norm was group and is batch"),
        ({"data": {"name": "others"}}, r"train\.data was blobs and is others"),
        ({"data": {"seed": 5}}, r"train\.hash was blobs-10-24-0 and is blobs-10-24-5"),
    ],
)
def test_another_run_is_refused_by_name(other: dict[str, Any], said: str, tmp_path: Path) -> None:
    _train(tmp_path)
    before = (tmp_path / FILE).read_bytes()
    if "learner" in other:
        other = {"learner": build(other["learner"])}
    if "data" in other:
        other = {"data": blobs(**other["data"])}
    with pytest.raises(ConfigError, match=said) as caught:
        _train(tmp_path, **other)
    assert str(tmp_path) in str(caught.value)
    assert "choose another --out" in str(caught.value)
    assert (tmp_path / FILE).read_bytes() == before


def test_steps_device_and_how_often_to_save_may_change(tmp_path: Path) -> None:
    _train(tmp_path)
    assert _train(tmp_path, steps=4, device="auto", checkpoint_seconds=0.0).history[-1]["step"] == 4


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("", encoding="utf-8")
    for out in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(SaveError, match=r"out"):
            _train(out)


def test_a_folder_with_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("", encoding="utf-8")
    with pytest.raises(SaveError, match="not a medshot run"):
        _train(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_kill_left_half_written_is_no_obstacle_and_goes(tmp_path: Path) -> None:
    (tmp_path / ".run.json.abcd_123").write_text("{", encoding="utf-8")
    _train(tmp_path)
    (tmp_path / f".{FILE}.abcd_123").write_bytes(b"half")
    _train(tmp_path)
    assert not list(tmp_path.glob(f".{FILE}*"))


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"learner": 1}'])
def test_a_damaged_record(content: str, tmp_path: Path) -> None:
    _train(tmp_path)
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    for use in (_train, medshot.load_run):
        with pytest.raises(SaveError, match=r"run\.json cannot be read"):
            use(tmp_path)


def test_a_record_of_another_learner_than_the_weights(tmp_path: Path) -> None:
    _train(tmp_path / "a")
    _train(tmp_path / "b", learner=medshot.build("prototypical", encoder=conv4(width=16)))
    (tmp_path / "a" / "run.json").write_bytes((tmp_path / "b" / "run.json").read_bytes())
    with pytest.raises(SaveError, match="do not fit"):
        medshot.load_run(tmp_path / "a")


def test_a_run_that_has_only_just_begun(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="A run is a folder that"):
        medshot.load_run(tmp_path)
    _train(tmp_path)
    (tmp_path / FILE).unlink()
    with pytest.raises(SaveError, match="no checkpoint yet"):
        medshot.load_run(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_is_saved_to_its_last_step_and_can_be_used(
    tmp_path: Path, number: int
) -> None:
    def stop(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    @contextmanager
    def stops(steps: int, done: int) -> Iterator[Any]:
        yield lambda step, row: signal.raise_signal(number) if step == 3 else None

    before = signal.signal(number, stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            _train(tmp_path / "run", steps=9, val_every=5, watch=stops)
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)
    run = medshot.load_run(tmp_path / "run")
    assert "for 3 steps, not validated" in run.learner.origin
    assert "3 of 9 steps" in run.unfinished
    whole = _train(tmp_path / "run", steps=9, val_every=5)
    straight = _train(tmp_path / "straight", steps=9, val_every=5)
    for name, tensor in straight.learner.state_dict().items():
        assert torch.equal(whole.learner.state_dict()[name], tensor)
    assert not medshot.load_run(tmp_path / "run").unfinished


def test_several_data_sets_are_all_in_the_origin(tmp_path: Path) -> None:
    run = _train(tmp_path, data=[blobs(4, name="skins"), blobs(2, name="chests")])
    assert "meta-trained on chests, skins for 2 steps" in run.learner.origin
    assert "chests, skins" in medshot.load_run(tmp_path).learner.origin


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, where one may be mounted."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr!r}")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("room", [40_000, 0])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_disk_that_is_really_full(small_disk: Path, tmp_path: Path, room: int) -> None:
    given = {"checkpoint_seconds": 0.0}
    whole = _train(tmp_path / "whole", steps=6)
    out = small_disk / "run"
    _train(out, **given)
    before = (out / FILE).read_bytes()
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"\0" * 4096):
            pass
    os.truncate(filler, filler.stat().st_size - room)
    with pytest.raises(SaveError, match="No space left") as caught:
        _train(out, steps=6, **given)
    assert "Free some space" in str(caught.value)
    assert str(out) in str(caught.value)
    assert (out / FILE).read_bytes() == before
    assert not list(out.glob(".*"))
    filler.unlink()
    cut = _train(out, steps=6, **given)
    for name, tensor in whole.learner.state_dict().items():
        assert torch.equal(tensor, cut.learner.state_dict()[name])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's
def test_a_disk_that_may_not_be_written(small_disk: Path) -> None:
    out = small_disk / "run"
    run = _train(out)
    before = (out / FILE).read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(SaveError, match="Read-only file system"):
        _train(small_disk / "other")
    with pytest.raises(SaveError, match="Read-only file system"):
        _train(out, steps=4)
    assert _train(out).history == run.history  # nothing to write: it was finished
    assert medshot.load_run(out).history == run.history
    assert (out / FILE).read_bytes() == before


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(SaveError, match="Permission denied"):
        _train(tmp_path / "run")
    tmp_path.chmod(0o755)
