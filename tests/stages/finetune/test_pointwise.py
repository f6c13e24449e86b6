"""The last pointwise kernels of a MobileNet, moved by a support."""

import pytest
import torch
import torch.nn.functional as F

import toys
from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.nn.encoders.mobilenet import MobileNet
from medshot.stages.finetune.pointwise import Pointwise
from toys.textures import CLASSES, small, textures

HOW = Pointwise(blocks=2, steps=4, lr=3e-3)


def test_a_moved_kernel_is_the_old_one_and_a_parallel_adapter() -> None:
    encoder, support = small(), textures(4)
    moved = HOW.moved(encoder, support, CLASSES)
    z = before = moved.maps(support.x, ["block1_pw"])[0]
    for i in (2, 3):
        old, new = encoder.layers[f"block{i}_pw"], moved.layers[f"block{i}_pw"]
        z = encoder.layers[f"block{i}_dw"](z)
        adapter = new.weight - old.weight
        assert adapter.abs().max() > 1e-4
        z = F.relu6(F.conv2d(z, old.weight, old.bias) + F.conv2d(z, adapter))
    folded = moved.onward(before, (), after="block1_pw")[0]
    torch.testing.assert_close(folded, z, atol=1e-5, rtol=1e-5)


def test_only_those_kernels_move_and_the_encoder_stays() -> None:
    encoder = small()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    after = HOW.moved(encoder, textures(4), CLASSES).state_dict()
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == {"layers.block2_pw.weight", "layers.block3_pw.weight"}
    assert all(torch.equal(t, before[name]) for name, t in encoder.state_dict().items())


def test_the_same_support_gives_the_same_kernels_whatever_was_drawn_before() -> None:
    support = textures(4)
    once = HOW.moved(small(), support, CLASSES)(support.x)
    torch.rand(7)
    assert torch.equal(HOW.moved(small(), support, CLASSES)(support.x), once)
    assert not torch.equal(HOW.moved(small(), support, CLASSES, seed=1)(support.x), once)


def test_classes_come_apart_on_new_images() -> None:
    encoder, unseen = small(), textures(40, seed=1)
    moved = Pointwise(blocks=3, steps=60, lr=3e-3).moved(encoder, textures(20), CLASSES)
    assert 0 < 1.5 * _separated(encoder, unseen) < _separated(moved, unseen)


def test_many_images_are_drawn_as_many_of_each_class() -> None:
    support = textures(40)
    uneven = Examples(support.x[10:], support.y[10:].clone().fill_(0))
    uneven.y[:3] = 1
    moved = HOW.moved(small(), uneven, CLASSES)
    assert torch.isfinite(moved(support.x)).all()


def test_it_moves_inside_no_grad_and_asks_for_none() -> None:
    with torch.no_grad():
        moved = HOW.moved(small(), textures(2), CLASSES)
    assert not any(p.requires_grad for p in moved.parameters())


def test_the_time_is_known_before() -> None:
    seconds = HOW.seconds(small(), textures(8), CLASSES)
    assert 0 < seconds < 60
    more = Pointwise(2, 400, 1e-3).seconds(small(), textures(8), CLASSES)
    assert more > seconds


@pytest.mark.parametrize("given", [{"blocks": 0}, {"steps": 0}, {"lr": 0.0}, {"lr": float("nan")}])
def test_numbers_that_cannot_be_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        Pointwise(**given)


def test_another_encoder_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"conv4.*'mobilenet'.*'lora'"):
        HOW.check(toys.conv4())
    with pytest.raises(ConfigError, match="4 pointwise"):
        Pointwise(blocks=4).check(small())


def _separated(encoder: MobileNet, images: Examples) -> float:
    """The squared distance of the classes' means, in units of the variance inside classes."""
    with torch.no_grad():
        z = encoder.maps(images.x, ())[-1].mean((2, 3))
    classes = [z[images.y == c] for c in range(CLASSES)]
    inside = torch.stack([c.var(0).sum() for c in classes]).mean()
    return float((classes[0].mean(0) - classes[1].mean(0)).square().sum() / inside)
