"""A descent finds the minimum, keeps the best, and goes on after a kill to the same bits."""

import pytest
import torch
from torch import Tensor, nn

from medshot.core.errors import ConfigError, TrainingError
from medshot.training.trainer import batch_of, descend

TARGET = torch.tensor([1.0, -2.0, 0.5])


def _module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 1, bias=False)


def _loss(module: nn.Module):
    def loss(step: int) -> Tensor:
        rng = torch.Generator().manual_seed(step)
        x = torch.randn(8, 3, generator=rng)
        return (module(x)[:, 0] - x @ TARGET).square().mean()

    return loss


def test_the_loss_falls_to_what_is_wanted():
    module = _module()
    before = (module.weight[0] - TARGET).norm()
    history = descend(module, _loss(module), steps=400, lr=0.05, val_every=100)
    assert (module.weight[0] - TARGET).norm() < 0.02 < before
    assert [row["step"] for row in history] == [100, 200, 300, 400]


def test_a_rate_of_its_own_takes_the_place_of_lr():
    still, moved = _module(), _module()
    before = still.weight.clone()
    descend(still, _loss(still), steps=3, lr=0.05, rate=lambda step: 0.0)
    assert torch.equal(still.weight, before)
    descend(moved, _loss(moved), steps=3, lr=0.05, rate=lambda step: 0.05 if step == 2 else 0.0)
    # Adam's first step that counts moves each weight by about its rate
    assert 0 < (moved.weight - before).abs().max() < 0.051


def test_killed_and_gone_on_it_ends_with_the_same_bits(tmp_path):
    whole, killed = _module(), _module()
    descend(whole, _loss(whole), steps=60, lr=0.05)

    def dies(step: int) -> Tensor:
        if step == 40:
            raise KeyboardInterrupt
        return _loss(killed)(step)

    descend(killed, _loss(killed), steps=25, lr=0.05, folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        descend(killed, dies, steps=60, lr=0.05, folder=tmp_path)
    fresh = _module()
    descend(fresh, _loss(fresh), steps=60, lr=0.05, folder=tmp_path)
    assert torch.equal(fresh.weight, whole.weight)


def test_the_best_weights_are_kept_and_patience_ends_it():
    module = _module()
    scores = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    kept = []

    def judge() -> float:
        kept.append(module.weight.detach().clone())
        return next(scores)

    history = descend(
        module, _loss(module), steps=100, lr=0.05, validate=judge, val_every=10, patience=2
    )
    assert len(history) == 4
    assert torch.equal(module.weight, kept[1])


def test_what_does_not_require_a_gradient_stays():
    module = nn.Sequential(_module(), _module())
    module[1].requires_grad_(False)
    stays = module[1].weight.clone()
    descend(module[0], _loss(module[0]), steps=5, lr=0.1)
    assert torch.equal(module[1].weight, stays)


def test_other_settings_in_the_same_folder_are_refused_by_name(tmp_path):
    module = _module()
    descend(module, _loss(module), steps=1, lr=0.1, folder=tmp_path, settings={"epsilon": 1})
    with pytest.raises(ConfigError, match="another epsilon"):
        descend(module, _loss(module), steps=1, lr=0.1, folder=tmp_path, settings={"epsilon": 2})


def test_a_loss_that_is_not_finite_is_named():
    module = _module()
    with pytest.raises(TrainingError, match="nan at step 1"):
        descend(module, lambda step: module.weight.sum() * torch.nan, steps=3, lr=0.1)


@pytest.mark.parametrize("wrong", [{"steps": -1}, {"lr": 0.0}, {"val_every": 0}])
def test_numbers_that_cannot_be_are_refused(wrong):
    module = _module()
    with pytest.raises(ConfigError):
        descend(module, _loss(module), **{"steps": 1, "lr": 0.1, **wrong})


def test_every_image_is_shown_once_a_round():
    first = torch.cat([batch_of(step, 10, 4) for step in range(3)])
    second = torch.cat([batch_of(step, 10, 4) for step in range(3, 6)])
    assert first.sort().values.tolist() == list(range(10)) == second.sort().values.tolist()
    assert not torch.equal(first, second)
    assert torch.equal(batch_of(4, 10, 4), batch_of(4, 10, 4))
