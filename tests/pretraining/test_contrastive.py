"""Contrast: better than chance, the same in parts as at once, and classes where they are asked."""

import math
from dataclasses import replace

import pytest
import torch

from medshot.core.errors import ConfigError, TaskError
from medshot.nn import UNet
from medshot.pretraining import pretrain
from medshot.pretraining.contrastive import Contrast
from medshot.tasks import Regression
from toys.pretraining import small, stripes


def _rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _gradients(chunk: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    torch.manual_seed(0)
    data = stripes()
    module = Contrast(small(), [data], chunk=chunk)
    loss = module.loss(data.examples().x[:10], data.y[:10], 0, _rng())
    loss.backward()
    return loss.detach(), [p.grad for p in module.parameters()]


@pytest.mark.parametrize("chunk", [3, 20])
def test_in_parts_the_loss_and_the_gradient_are_those_of_the_whole(chunk: int) -> None:
    whole, parts = _gradients(0), _gradients(chunk)
    torch.testing.assert_close(parts[0], whole[0])
    for ours, theirs in zip(parts[1], whole[1], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


def test_in_parts_less_is_kept_for_the_gradient() -> None:
    kept = {}
    for chunk in (0, 4):
        module, data, sizes = Contrast(small(), [stripes()], chunk=chunk), stripes(), []

        def pack(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            module.loss(data.examples().x[:40], data.y[:40], 0, _rng())
        kept[chunk] = sum(sizes)
    assert kept[4] < kept[0] / 3


@pytest.mark.parametrize("labels", [False, True])
def test_it_learns_to_tell_images_apart(labels: bool) -> None:
    learned = pretrain(
        small(), stripes(), "contrast", steps=80, batch=30, judge_every=20, labels=labels
    )
    losses = [row["val_loss"] for row in learned.about["history"]]
    chance = math.log(2 * 6 - 1)  # six images are held out, two views of each
    assert losses[-1] < losses[0] + 1e-6
    assert losses[-1] < 0.9 * chance


def test_a_map_of_features_is_averaged() -> None:
    data = stripes()
    module = Contrast(UNet(channels=1, size=16, width=8, depth=1), [data])
    assert module.loss(data.examples().x[:4], data.y[:4], 0, _rng()).isfinite()


def test_labels_are_asked_for_where_there_are_none() -> None:
    data = stripes()
    numbers = replace(data, y=torch.rand(len(data), 1), task=Regression(1))
    with pytest.raises(TaskError, match="stripes: no class"):
        Contrast(small(), [numbers], labels=True)


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"chunk": -1}, {"width": 0}])
def test_options_that_cannot_be_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        Contrast(small(), [stripes()], **wrong)
