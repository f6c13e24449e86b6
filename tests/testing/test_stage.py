"""Stages of ours keep the contract; one that breaks it is told which promise."""

from functools import partial

import pytest
import torch

import medshot
from medshot.testing import check_stage

OURS = {
    "finetune": partial(medshot.finetune, steps=2),
    "harden": partial(medshot.harden, steps=2),
    "prune": partial(medshot.prune, share=0.5, steps=2),
}


@pytest.mark.parametrize("name", OURS)
def test_stages_of_ours_keep_it(name: str):
    check_stage(OURS[name])


def _same(predictor, examples):
    return predictor


def _silent(predictor, examples):
    return predictor.freeze()


def _in_place(predictor, examples):
    with torch.no_grad():
        predictor.bias.add_(1)
    return predictor.freeze()


def _training(predictor, examples):
    return predictor.freeze().with_card(predictor.card.after("train")).train()


@pytest.mark.parametrize(
    ("stage", "promise"),
    [
        (_same, "stay as they are.*give a copy"),
        (_silent, r"The card says that the stage was run.*card\.after"),
        (_in_place, "stay as they are"),
        (_training, "It gives a frozen predictor.*train mode"),
    ],
)
def test_a_broken_promise_is_named(stage, promise):
    with pytest.raises(
        AssertionError, match=rf"(?s){stage.__name__} breaks the promise: .*{promise}"
    ):
        check_stage(stage)
