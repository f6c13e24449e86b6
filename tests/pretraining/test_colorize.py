"""Colour from grey: what the encoder sees has none, and what is predicted is right in the end."""

import pytest
import torch

from medshot.core.errors import DataError
from medshot.pretraining import pretrain
from medshot.pretraining.colorize import Colorize
from toys.pretraining import small, stripes


@pytest.mark.parametrize("channels", [1, 3])
def test_it_learns_the_colour_and_the_encoder_keeps_its_form(channels: int) -> None:
    data = stripes(channels=3)
    learned = pretrain(
        small(channels),
        data,
        "colourise",
        steps=120,
        batch=30,
        lr=5e-3,
        judge_every=40,
        augment=0.0,
    )
    x = data.examples().x
    grey = 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]
    trivial = (x[:, [0, 2]] - grey).abs().mean()
    assert learned.about["history"][-1]["val_loss"] < 0.8 * trivial
    assert learned.channels == channels


def test_the_encoder_sees_no_colour() -> None:
    seen = []
    encoder = small(3)
    encoder.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    data = stripes(channels=3)
    rng = torch.Generator().manual_seed(0)
    Colorize(encoder, [data]).loss(data.examples().x[:4], data.y[:4], 0, rng)
    assert torch.equal(seen[0], seen[0][:, :1].expand(-1, 3, -1, -1))


def test_sets_without_colour_are_left_out_and_none_left_is_an_error() -> None:
    grey, colour = stripes().at(3, 16), stripes(channels=3)
    assert Colorize.usable([grey, colour]) == [colour]
    with pytest.raises(DataError, match="no colour in stripes"):
        Colorize.usable([grey])
