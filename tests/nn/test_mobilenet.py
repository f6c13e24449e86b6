"""MobileNets against TensorFlow's SAME padding written out, and against the file's own words."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from medshot.core.errors import ConfigError
from medshot.core.parts import make, recipe
from medshot.nn.mobilenet import MobileNet
from medshot.pretraining.weights import load_described

SMALL = [
    ["conv", "stem", 4, 3, 2, True, False, True],
    ["conv", "block1_expand", 8, 1, 1, True, False, True],
    ["dwconv", "block1_dw", 8, 3, 1, True, False, True],
    ["conv", "block1_project", 4, 1, 1, False, False, True],
    ["add"],
]


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2), (1, 1)])
def test_padding_is_that_of_tensorflow(size: int, kernel: int, stride: int):
    layers = [["conv", "stem", 2, kernel, stride, False, False, True]]
    module = MobileNet(channels=1, size=size, layers=layers, scaling="unit").eval()
    x, stem = torch.rand(1, 1, size, size), module.layers["stem"]
    outputs = -(-size // stride)
    before = max((outputs - 1) * stride + kernel - size, 0) // 2
    found = stem(x)
    assert found.shape == (1, 2, outputs, outputs)
    for i in range(outputs):
        slow = stem.bias.clone()
        for row in range(kernel):
            for column in range(kernel):
                at = i * stride - before + row, 0 * stride - before + column
                if min(at) >= 0 and max(at) < size:
                    slow = slow + stem.weight[:, 0, row, column] * x[0, 0, at[0], at[1]]
        torch.testing.assert_close(found[0, :, i, 0], slow)


def test_a_block_adds_what_went_into_it():
    module = MobileNet(channels=1, size=8, layers=SMALL, scaling="unit").eval()
    x = torch.rand(2, 1, 8, 8)
    stem = module.layers["stem"](x)
    z = stem
    for name in ("block1_expand", "block1_dw", "block1_project"):
        z = module.layers[name](z)
    torch.testing.assert_close(module(x), (z + stem).mean((2, 3)))


def test_it_is_made_again_from_its_recipe():
    module = MobileNet(channels=1, size=8, layers=SMALL)
    again = make(json.loads(json.dumps(recipe(module))))
    again.load_state_dict(module.state_dict())
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(again(x), module(x))


@pytest.mark.parametrize("row", [[], ["add", 1], ["conv", "stem"], ["exec", *SMALL[0][1:]], [3]])
def test_what_is_no_layer_is_refused(row):
    with pytest.raises(ConfigError, match="no layer of a MobileNet"):
        MobileNet(layers=[row])


def test_strides_of_nothing_are_refused():
    with pytest.raises(ConfigError, match="above 0"):
        MobileNet(layers=[["conv", "stem", 4, 3, 0, True, False, True]])


@pytest.mark.parametrize(
    "name", ["mobilenet_v1_0.25_224_imagenet_notop", "mobilenet_v2_1.0_224_imagenet"]
)
def test_real_weights_give_what_the_file_says(name: str):
    place = Path(os.environ.get("MEDSHOT_WEIGHTS", "")) / f"{name}.npz"
    if not place.is_file():
        pytest.skip("needs real weights: set MEDSHOT_WEIGHTS to the folder that holds them")
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    quantised = "v2" in name
    wanted = _as_the_file_says(place, (255 * x - 128) / 128 if quantised else 255 * x / 127.5 - 1)
    torch.testing.assert_close(load_described(place, size=64)(x), wanted, atol=1e-4, rtol=1e-3)


def _as_the_file_says(place: Path, z: torch.Tensor) -> torch.Tensor:
    with np.load(place) as archive:
        w = {n: torch.from_numpy(archive[n]) for n in archive.files if n != "arch_json"}
        rows = json.loads(str(archive["arch_json"]))
    entered = z
    for row in rows:
        if row["op"] == "global_avg_pool":
            break
        if row["op"] == "add_block_input":
            z = z + entered
            continue
        name, weight = row["name"], w[f"{row['name']}.weight"]
        if name.endswith(".expand"):
            entered = z
        if weight.shape[-1] == 3:
            z = F.pad(z, (0, 1, 0, 1) if row["stride"] == 2 else (1, 1, 1, 1))
        groups = z.shape[1] if row["op"] == "dwconv" else 1
        z = F.conv2d(z, weight, w.get(f"{name}.bias"), row["stride"], groups=groups)
        if f"{name}.bn.weight" in w:
            kept = [w[f"{name}.bn.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
            z = F.batch_norm(z, *kept, eps=1e-3)
        z = z.clamp(0, 6) if row["relu6"] else z
    return z.mean((2, 3))
