import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from medshot.core.errors import SaveError
from medshot.training.checkpoint import FILE, Checkpoint, read_best
from toys.training import build


def _trained(learner: nn.Module, steps: int = 2) -> torch.optim.Optimizer:
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(p.square().sum() for p in learner.parameters()).backward()
        optimizer.step()
    return optimizer


def _saved(folder: Path) -> tuple[Checkpoint, nn.Module, torch.optim.Optimizer]:
    learner = build("batch")
    optimizer = _trained(learner)
    state = Checkpoint(step=3)
    state.note({"step": 3, "loss": 0.5, "val_loss": 0.25}, learner)
    _trained(learner, 1)
    state.save(folder, learner, optimizer)
    return state, learner, optimizer


def test_everything_comes_back(tmp_path: Path) -> None:
    state, learner, optimizer = _saved(tmp_path)
    expected = torch.rand(3)
    other = build("batch")
    other_optimizer = _trained(other, 5)
    found = Checkpoint.resume(tmp_path, other, other_optimizer)
    assert torch.equal(torch.rand(3), expected)
    assert (found.step, found.best, found.best_step, found.worse) == (3, 0.25, 3, 0)
    assert found.history == state.history
    for name, tensor in learner.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)
        assert torch.equal(found.weights[name], state.weights[name])
    for i, moments in optimizer.state_dict()["state"].items():
        for name, tensor in moments.items():
            assert torch.equal(other_optimizer.state_dict()["state"][i][name], tensor)


def test_moments_lie_in_memory_as_their_parameters(tmp_path: Path) -> None:
    _saved(tmp_path)
    learner = build("batch").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(learner.parameters())
    Checkpoint.resume(tmp_path, learner, optimizer)
    for parameter, moments in optimizer.state.items():
        assert moments["exp_avg"].stride() == parameter.stride()


def test_without_a_file_a_run_begins(tmp_path: Path) -> None:
    learner = build("prototypical")
    for folder in (None, tmp_path):
        assert Checkpoint.resume(folder, learner, _trained(learner)) == Checkpoint()
    Checkpoint().save(None, learner, _trained(learner))


def test_the_best_is_kept_apart_from_the_newest(tmp_path: Path) -> None:
    learner = build("prototypical")
    state = Checkpoint()
    kept = []
    for step, value in enumerate([float("nan"), 0.5, 0.5, 0.7, float("nan"), 0.4], 1):
        state.step = step
        state.note({"step": step, "loss": 0.0, "val_loss": value}, learner)
        kept.append((state.best_step, state.worse))
        _trained(learner, 1)
    assert kept == [(0, 1), (2, 0), (2, 1), (2, 2), (2, 3), (6, 0)]
    assert not state.exhausted(None)
    assert not state.exhausted(1)
    newest = learner.state_dict()["encoder.blocks.0.0.weight"].clone()
    state.restore_best(learner)
    assert not torch.equal(learner.state_dict()["encoder.blocks.0.0.weight"], newest)


def test_before_any_validation_the_newest_is_the_best(tmp_path: Path) -> None:
    learner = build("prototypical")
    Checkpoint(step=1).save(tmp_path, learner, _trained(learner))
    found = read_best(tmp_path)
    assert (found.step, found.best, found.history) == (1, float("inf"), [])
    for name, tensor in learner.state_dict().items():
        assert torch.equal(found.weights[name], tensor)


def test_best_weights_do_not_depend_on_the_file_that_they_are_from(tmp_path: Path) -> None:
    state, _, _ = _saved(tmp_path)
    found = read_best(tmp_path)
    file = tmp_path / FILE
    file.write_bytes(b"\xff" * file.stat().st_size)
    for name, tensor in state.weights.items():
        assert torch.equal(found.weights[name], tensor)


def _spoil(file: Path, how: str) -> None:
    content = file.read_bytes()
    tensors = load_file(file)
    with safe_open(file, "pt") as opened:
        meta = json.loads(opened.metadata()["medshot"])
    match how:
        case "truncated":
            file.write_bytes(content[: len(content) // 2])
        case "empty":
            file.write_bytes(b"")
        case "other":
            file.write_bytes(b"PK\x03\x04 a zip, say")
        case "foreign":
            save_file(tensors, file)
        case "no json":
            save_file(tensors, file, {"medshot": "{"})
        case "no step":
            del meta["step"]
            save_file(tensors, file, {"medshot": json.dumps(meta)})
        case "no tensor":
            del (
                tensors["learner.encoder.blocks.0.0.weight"],
                tensors["best.encoder.blocks.0.0.weight"],
            )
            save_file(tensors, file, {"medshot": json.dumps(meta)})
        case "no random state":
            del tensors["random"]
            save_file(tensors, file, {"medshot": json.dumps(meta)})


HOW = ("truncated", "empty", "other", "foreign", "no json", "no step", "no tensor")


@pytest.mark.parametrize("how", [*HOW, "no random state"])
def test_a_damaged_file_is_named_with_the_way_out(how: str, tmp_path: Path) -> None:
    _saved(tmp_path)
    _spoil(tmp_path / FILE, how)
    learner = build("batch")
    with pytest.raises(SaveError, match=r"(?s)checkpoint\.safetensors.*Remove"):
        Checkpoint.resume(tmp_path, learner, torch.optim.Adam(learner.parameters()))


def test_a_future_format_is_refused(tmp_path: Path) -> None:
    _saved(tmp_path)
    tensors = load_file(tmp_path / FILE)
    save_file(tensors, tmp_path / FILE, {"medshot": json.dumps({"format": 2})})
    with pytest.raises(SaveError, match=r"format 2,.* reads 1"):
        read_best(tmp_path)


def test_a_file_from_before_formats_were_numbered_is_read(tmp_path: Path) -> None:
    _saved(tmp_path)
    file = tmp_path / FILE
    tensors = load_file(file)
    with safe_open(file, "pt") as opened:
        meta = json.loads(opened.metadata()["medshot"])
    assert meta.pop("format") == 1
    save_file(tensors, file, {"medshot": json.dumps(meta)})
    assert read_best(tmp_path).step == 3
