"""Weights of another's file: in their places, for other channels too, or a word on why not."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from medshot.core.errors import DataError
from medshot.pretraining.weights import load_weights
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
