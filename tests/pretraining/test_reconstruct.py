"""Reconstruction: the error is that of what was hidden, and falls below that of the mean image."""

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.nn import UNet
from medshot.pretraining import pretrain
from medshot.pretraining.reconstruct import Reconstruct, patch_mask
from toys.pretraining import small, stripes


def _rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("size", [16, 18])
def test_the_share_of_hidden_squares_is_the_one_asked_for(size: int) -> None:
    hidden = patch_mask(torch.zeros(9, 3, size, size), 0.5, 4, _rng())
    assert hidden.shape == (9, 1, size, size)
    corners = hidden[:, 0, ::4, ::4]
    assert (corners.flatten(1).sum(1) == round(0.5 * corners[0].numel())).all()
    assert torch.equal(hidden[:, 0, 1:4, 1:4].all((1, 2)), corners[:, 0, 0])


def test_the_loss_is_the_error_where_something_was_hidden() -> None:
    data = stripes()
    module = Reconstruct(small(), [data], mask=0.5, patch=4, augment=0.0)
    x = data.examples().x[:4]
    hidden = patch_mask(x, 0.5, 4, _rng())
    shown = torch.where(hidden, x.mean((2, 3), keepdim=True), x)
    drawn = module.decoder(module.encoder(shown))
    pixels = zip(drawn.flatten(), x.flatten(), hidden.flatten(), strict=True)
    errors = [(a - b) ** 2 for a, b, h in pixels if h]
    torch.testing.assert_close(module.loss(x, data.y[:4], 0, _rng()), sum(errors) / len(errors))


@pytest.mark.parametrize("mask", [0.0, 0.5])
def test_it_learns_more_than_the_mean_of_an_image(mask: float) -> None:
    data = stripes()
    options = {"mask": mask, "patch": 4, "augment": 0.0, "width": 16}
    learned = pretrain(small(), data, steps=150, batch=30, lr=5e-3, judge_every=50, **options)
    x = data.examples().x
    trivial = (x - x.mean((2, 3), keepdim=True)).square().mean()
    losses = [row["val_loss"] for row in learned.about["history"]]
    assert 0 < losses[-1] < 0.8 * trivial


def test_what_keeps_the_grid_learns_too() -> None:
    unet = UNet(channels=1, size=16, width=8, depth=2)
    learned = pretrain(unet, stripes(), steps=60, batch=20, judge_every=20, augment=0.0)
    losses = [row["val_loss"] for row in learned.about["history"]]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("wrong", [{"mask": 1.0}, {"mask": -0.1}, {"patch": 0}, {"augment": 2.0}])
def test_options_that_cannot_be_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        Reconstruct(small(), [stripes()], **wrong)
