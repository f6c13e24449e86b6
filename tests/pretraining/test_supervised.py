"""Several data sets of other labels and other kinds teach one encoder at once."""

import math
from dataclasses import replace

import pytest
import torch

from medshot.core.errors import DataError, TaskError
from medshot.data.dataset import Dataset
from medshot.nn import UNet
from medshot.pretraining import pretrain
from medshot.pretraining.supervised import Supervise
from medshot.tasks import Regression, Segmentation
from toys.pretraining import small, stripes


def _masked() -> Dataset:
    data = stripes()
    mask = (data.x[:, 0] > 127).byte()
    return replace(data, y=mask, labels=("dark", "bright"), task=Segmentation(2))


def test_data_sets_of_other_labels_are_learned_at_once() -> None:
    sets = [stripes(), replace(stripes(k=2, seed=1), name="two", hash="of two")]
    learned = pretrain(
        small(), sets, "supervise", steps=120, batch=30, judge_every=40, lr=5e-3, augment=0.2
    )
    chance = (math.log(3) + math.log(2)) / 2
    assert learned.about["history"][-1]["val_loss"] < 0.5 * chance
    assert [part["hash"] for part in learned.seen] == ["of stripes", "of two"]
    assert not [name for name in learned.state_dict() if "head" in name]


def test_masks_and_labels_and_numbers_teach_what_keeps_the_grid() -> None:
    data = stripes()
    numbers = replace(data, y=data.y[:, None].double(), labels=("mm",), task=Regression(1))
    unet = UNet(channels=1, size=16, width=8, depth=2)
    learned = pretrain(
        unet, [data, _masked(), numbers], "supervise", steps=90, batch=20, judge_every=15, lr=0.01
    )
    losses = [row["val_loss"] for row in learned.about["history"]]
    assert losses[-1] < 0.8 * losses[0]


def test_the_loss_is_that_of_the_data_sets_own_task() -> None:
    sets = [stripes(), stripes(k=2)]
    module = Supervise(small(), sets, augment=0.0)
    x, y = sets[1].examples().x[:8], sets[1].y[:8]
    z = module.encoder(x) @ module.heads[1].weight.T + module.heads[1].bias
    slow = -sum(row.log_softmax(0)[c] for row, c in zip(z, y, strict=True)) / 8
    torch.testing.assert_close(module.loss(x, y, 1, torch.Generator()), slow)


def test_what_cannot_teach_is_refused() -> None:
    with pytest.raises(TaskError, match="take --encoder unet"):
        Supervise(small(), [_masked()])
    one = stripes().only([0])
    with pytest.raises(DataError, match="only one class"):
        Supervise(small(), [one])
