"""Weights of another's file: in their places, for other channels too, or a word on why not."""

import json
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from medshot.core.errors import DataError
from medshot.pretraining import load_encoder, save_encoder
from medshot.pretraining.weights import load, load_weights
from medshot.pretraining.weights.load import tensors_in
from toys import conv4


def _file(at: Path, tensors: dict[str, Tensor]) -> Path:
    path = at / "weights.safetensors"
    save_file({name: t.contiguous() for name, t in tensors.items()}, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
def test_the_features_are_those_of_the_network_that_was_saved(tmp_path: Path, prefix: str) -> None:
    theirs, ours = conv4(), conv4()
    tensors = {prefix + name: t for name, t in theirs.state_dict().items()}
    path = _file(tmp_path, tensors | {"head.weight": torch.rand(9, 9)})
    found = load_weights(ours, path)
    x = torch.rand(2, 1, 16, 16)
    assert torch.equal(found(x), theirs(x))
    assert not torch.equal(found(x), ours(x)), "the encoder that was given stays"
    assert found.origin == "weights of weights.safetensors"
    assert len(found.about["file_sha256"]) == 64


def test_grey_images_give_what_they_gave_as_three_equal_channels(tmp_path: Path) -> None:
    theirs = conv4(channels=3, scaling="signed")
    found = load_weights(conv4(scaling="signed"), _file(tmp_path, theirs.state_dict()))
    x = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(found(x), theirs(x.expand(-1, 3, -1, -1)), atol=1e-4, rtol=1e-4)


def test_weights_for_grey_images_see_the_mean_of_colours(tmp_path: Path) -> None:
    theirs = conv4(scaling="signed")
    found = load_weights(conv4(channels=3, scaling="signed"), _file(tmp_path, theirs.state_dict()))
    x = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(found(x), theirs(x.mean(1, True)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"width": 16}, "have another shape .*: .8, 1, 3, 3., not .16, 1, 3, 3."),
        ({"norm": "batch"}, "of its .* tensors are missing"),
    ],
)
def test_another_architecture_is_refused_with_what_differs(
    tmp_path: Path, options: dict, told: str
) -> None:
    ours = conv4(**options)
    before = {name: t.clone() for name, t in ours.state_dict().items()}
    path = _file(tmp_path, conv4().state_dict())
    with pytest.raises(DataError, match=told) as refused:
        load_weights(ours, path)
    assert str(path) in str(refused.value)
    assert all(torch.equal(t, before[name]) for name, t in ours.state_dict().items())


# Files of weights: what is in them is tensors, or a sentence; nothing of theirs is run.


TENSORS = {"a.weight": torch.rand(2, 3), "count": torch.tensor(3)}


def _written(at: Path, suffix: str, tensors: dict[str, torch.Tensor]) -> Path:
    path = at / f"weights{suffix}"
    if suffix == ".npz":
        np.savez(path, **{name: t.numpy() for name, t in tensors.items()})
    elif suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


@pytest.mark.parametrize("suffix", list(load.READERS))
def test_every_kind_gives_the_same_tensors(tmp_path: Path, suffix: str) -> None:
    found, texts = tensors_in(_written(tmp_path, suffix, TENSORS))
    assert found.keys() == TENSORS.keys()
    assert torch.equal(found["a.weight"], TENSORS["a.weight"])
    assert texts == {}


@pytest.mark.parametrize("suffix", list(load.READERS))
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    path = _written(tmp_path, suffix, TENSORS)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=f"{path.name} cannot be read as weights"):
        tensors_in(path)


@pytest.mark.parametrize("suffix", [".npz", ".pth"])
def test_what_would_run_a_program_is_refused_and_not_run(tmp_path: Path, suffix: str) -> None:
    path, mark = tmp_path / f"weights{suffix}", tmp_path / "was-here"

    class Trap:
        def __reduce__(self):
            return Path.touch, (mark,)

    if suffix == ".npz":
        np.savez(path, a=np.array([Trap()], dtype=object))
    else:
        torch.save({"a": Trap()}, path)
    with pytest.raises(DataError, match="Pickles with other objects"):
        tensors_in(path)
    assert not mark.exists()


def test_a_checkpoint_keeps_its_weights_under_a_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 3, "state_dict": OrderedDict(TENSORS)}, path)
    assert tensors_in(path)[0].keys() == TENSORS.keys()


def test_half_precision_becomes_whole(tmp_path: Path) -> None:
    path = _written(tmp_path, ".safetensors", {"a": torch.rand(3).half()})
    assert tensors_in(path)[0]["a"].dtype == torch.float32


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({}, "holds no tensors"),
        ({"a": torch.tensor([1.0, torch.nan])}, "a holds values that are not finite"),
        ({"a": torch.tensor([1j])}, "a is not a dense tensor"),
        ({"a": torch.eye(2).to_sparse()}, "a is not a dense tensor"),
    ],
)
def test_what_are_no_weights_is_refused(tmp_path: Path, tensors: dict, told: str) -> None:
    with pytest.raises(DataError, match=told):
        tensors_in(_written(tmp_path, ".pth", tensors))


def test_a_list_is_no_state_dict(tmp_path: Path) -> None:
    torch.save([torch.rand(2)], tmp_path / "weights.pth")
    with pytest.raises(DataError, match="holds list"):
        tensors_in(tmp_path / "weights.pth")


def test_what_unpacks_to_too_much_is_not_opened(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "weights.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(10**6))
    monkeypatch.setattr(load, "MOST", 10**5)
    assert path.stat().st_size < load.MOST
    with pytest.raises(DataError, match="unpacks to"):
        tensors_in(path)


@pytest.mark.parametrize(
    ("name", "told"), [("none.npz", "no file"), ("weights.h5", "not from .h5")]
)
def test_what_is_not_read_is_named(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "weights.h5").write_bytes(b"x")
    with pytest.raises(DataError, match=told):
        tensors_in(tmp_path / name)


# Files that say their own architecture, and those that say something else.


ROWS = [
    {"op": "conv", "name": "stem", "stride": 2, "relu6": True},
    {"op": "conv", "name": "block1.expand", "stride": 1, "relu6": True},
    {"op": "dwconv", "name": "block1.dw", "stride": 1, "relu6": True},
    {"op": "conv", "name": "block1.project", "stride": 1, "relu6": False},
    {"op": "add_block_input"},
    {"op": "global_avg_pool"},
    {"op": "conv", "name": "classifier", "stride": 1, "relu6": False},
]
SHAPES = {
    "stem": (4, 3, 3, 3),
    "block1.expand": (8, 4, 1, 1),
    "block1.dw": (8, 1, 3, 3),
    "block1.project": (4, 8, 1, 1),
    "classifier": (10, 4, 1, 1),
}


def _tf_file(at: Path, said: str | None = None, normalised: bool = False) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for name, shape in SHAPES.items():
        arrays[f"{name}.weight"] = rng.normal(size=shape).astype(np.float32) / 3
        names = ["weight", "bias", "running_mean", "running_var"] if normalised else []
        ours = [f"{name}.bn.{n}" for n in names] or [f"{name}.bias"]
        arrays |= {n: rng.random(shape[0]).astype(np.float32) for n in ours}
    arrays["arch_json"] = np.array(json.dumps(ROWS) if said is None else said)
    path = at / "net.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("normalised", [False, True])
def test_channels_and_size_are_ones_own_and_it_is_saved_like_any(
    tmp_path: Path, normalised: bool
) -> None:
    path = _tf_file(tmp_path, normalised=normalised)
    colour, grey = (load_encoder(path, channels=c, size=17) for c in (3, 1))
    x = torch.rand(2, 1, 17, 17)
    torch.testing.assert_close(grey(x), colour(x.expand(-1, 3, -1, -1)), atol=1e-4, rtol=1e-4)
    assert grey.n_features == 4
    assert grey.scaling == ("signed" if normalised else "quantised")
    path.unlink()
    again = load_encoder(save_encoder(grey, tmp_path / "saved"))
    assert torch.equal(again(x), grey(x))


@pytest.mark.parametrize(
    "said",
    [
        "{",
        "3",
        "[3]",
        "[]",
        '[{"op": "conv"}]',
        '[{"op": "exec", "name": "stem", "stride": 1, "relu6": true}]',
        '[{"op": "conv", "name": "stem", "stride": 0, "relu6": true}]',
        '[{"op": "conv", "name": "none", "stride": 1, "relu6": true}]',
        '[{"op": "dwconv", "name": "block1.dw", "stride": 1, "relu6": true}]',
        '[{"op": "conv", "name": "stem", "stride": "2", "relu6": true}]',
    ],
)
def test_an_architecture_that_cannot_be_is_refused_by_name(tmp_path: Path, said: str) -> None:
    with pytest.raises(DataError, match=r"net\.npz"):
        load_encoder(_tf_file(tmp_path, said))


def test_a_file_that_says_nothing_asks_for_the_network(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", a=np.zeros(3, np.float32))
    with pytest.raises(DataError, match=r"encoder\.network="):
        load_encoder(tmp_path / "plain.npz")
