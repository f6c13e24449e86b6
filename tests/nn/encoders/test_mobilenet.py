"""MobileNets: against a reference, TensorFlow's SAME padding written out, the file's own words."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import medshot
from medshot.core.errors import ConfigError, SaveError
from medshot.core.registry import make, recipe
from medshot.nn.encoders import mobilenet
from medshot.nn.encoders.mobilenet import MobileNet, global_statistics
from medshot.pretraining.weights import load_described

SMALL = [
    ["conv", "stem", 4, 3, 2, True, False, True],
    ["conv", "block1_expand", 8, 1, 1, True, False, True],
    ["dwconv", "block1_dw", 8, 3, 1, True, False, True],
    ["conv", "block1_project", 4, 1, 1, False, False, True],
    ["add"],
]


REFERENCE = Path(__file__).with_name("mobilenet_reference.json")


def picture(size: int) -> torch.Tensor:
    """The image that the reference was computed on: stripes, rings and a bowl."""
    side = torch.linspace(0, 1, size)
    y, x = torch.meshgrid(side, side, indexing="ij")
    red, green = 0.5 + 0.5 * torch.sin(25 * x + 9 * y), 0.5 + 0.5 * torch.cos(40 * x * y)
    return torch.stack([red, green, (x - 0.5) ** 2 + (y - 0.4) ** 2]).clamp(0, 1)[None]


def off(module: torch.nn.Module, size: int) -> float:
    """The largest difference to the reference: the original 32-bit file, run by plain code."""
    wanted = torch.tensor(json.loads(REFERENCE.read_text())[str(size)])
    with torch.no_grad():
        return float((F.normalize(module(picture(size)))[0] - wanted).abs().max())


@pytest.mark.parametrize("size", [128, 224])
def test_the_packaged_network_gives_the_reference_activations(size: int):
    assert off(medshot.encoder("mobilenet", size=size, depths=[]), size) < 1e-3


def test_another_padding_or_range_is_no_longer_the_reference():
    other = medshot.encoder("mobilenet", depths=[])
    for layer in other.layers.values():
        if any(layer.around):
            layer.around, layer.padding = (0, 0, 0, 0), (1, 1)  # PyTorch's
    assert off(other, 128) > 1e-2
    assert off(medshot.encoder("mobilenet", depths=[], scaling="unit"), 128) > 1e-2


def test_depths_are_means_and_deviations_of_unit_length_and_statistics():
    module = medshot.encoder("mobilenet", size=64)
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        blocks = module(x).split(module.block_sizes, 1)
        z = module.maps(x, ["block7_pw"])[0]
    assert sum(module.block_sizes) == module.n_features
    torch.testing.assert_close(blocks[2], F.normalize(z.mean((2, 3))), atol=1e-4, rtol=1e-3)
    slow = F.normalize(z.flatten(2).std(2, correction=0))
    torch.testing.assert_close(blocks[3], slow, atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(blocks[-1], global_statistics(x))


def test_statistics_are_those_of_numpy():
    x = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    a = x[0].numpy()
    slow = [*a.mean((1, 2)), *a.std((1, 2)), (a[0] - a[1]).std(), (a[2] - a[1]).std()]
    slow += [np.abs(np.diff(a, axis=2)).mean(), np.abs(np.diff(a, axis=1)).mean()]
    np.testing.assert_allclose(global_statistics(x)[0].numpy(), slow, atol=1e-4)


def test_one_channel_is_three_equal_ones():
    grey = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    one, three = (medshot.encoder("mobilenet", size=64, channels=c) for c in (1, 3))
    with torch.no_grad():
        torch.testing.assert_close(one(grey), three(grey.expand(-1, 3, -1, -1)))


def test_it_is_quick_to_load_and_small():
    medshot.encoder("mobilenet")
    began = time.process_time()
    medshot.encoder("mobilenet")
    assert time.process_time() - began < 1  # 0.1 s; the limit is for a busy machine
    assert mobilenet.PACKAGED.stat().st_size < 6e6


@pytest.mark.parametrize("damage", [lambda c: c[: len(c) // 2], lambda c: c[:-1] + b"x"])
def test_a_damaged_file_of_weights_is_refused(damage, tmp_path, monkeypatch):
    place = tmp_path / "mobilenet_v1.safetensors"
    place.write_bytes(damage(mobilenet.PACKAGED.read_bytes()))
    monkeypatch.setattr(mobilenet, "PACKAGED", place)
    with pytest.raises(SaveError, match=r"mobilenet_v1.*--force"):
        medshot.encoder("mobilenet")
    place.unlink()
    with pytest.raises(SaveError, match="missing"):
        medshot.encoder("mobilenet")


def test_an_unknown_depth_is_refused():
    with pytest.raises(ConfigError, match="block12_pw"):
        medshot.encoder("mobilenet", depths=["block13_pw"])


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
