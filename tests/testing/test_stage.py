"""Stages of ours keep the contract; one that breaks it is told which promise."""

from functools import partial

import pytest
import torch

import medshot
from medshot.stages.base import Stage
from medshot.testing import check_stage
from medshot.testing.stage import example

OURS = {
    "compress": {"prune": 0.5, "distil": "small", "steps": 2},
    "distil": {"steps": 2},
    "finetune": {"steps": 2},
    "fuse": {},
    "harden": {"steps": 2, "attack_steps": 1},
    "prune": {"steps": 2},
    "quantise": {},
}
FUNCTIONS = {
    "distill": partial(medshot.distill, steps=2),
    "finetune": partial(medshot.finetune, steps=2),
    "harden": partial(medshot.harden, steps=2),
    "prune": partial(medshot.prune, share=0.5, steps=2),
}


@pytest.mark.parametrize("name", OURS)
def test_stages_of_ours_keep_it(name: str):
    check_stage(name, **OURS[name])


def test_every_stage_of_ours_is_among_them():
    known = {name for name, cls in Stage.known().items() if cls.__module__.startswith("medshot.")}
    assert known == OURS.keys()


@pytest.mark.parametrize("how", ["mean", "stack", "soup", "greedy-soup"])
def test_every_way_to_fuse_keeps_it(how: str):
    check_stage("fuse", how=how)


def test_snapshots_of_one_keep_it():
    _, (model, _) = example()
    check_stage("fuse", how="snapshots", cycles=2, steps=2, predictor=[model])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_ours_keep_it(name: str):
    check_stage(FUNCTIONS[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_a_dataset(name: str):
    shown, (model, _) = example()
    x = shown.examples().x
    found, wanted = FUNCTIONS[name](model, shown), FUNCTIONS[name](model, shown.examples())
    torch.testing.assert_close(found(x), wanted(x), rtol=0, atol=0)


def test_what_was_fused_names_its_members():
    shown, models = example()
    tuned = medshot.finetune(models[0], shown.examples(), "head", steps=1)
    fused = medshot.stage("fuse", how="mean")([tuned, models[1]], shown)
    (first,) = fused.card.stages
    assert first["stage"] == "fuse"
    assert [", then finetune" in member for member in first["members"]] == [True, False]


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
        (_same, "are not changed.*return a copy"),
        (_silent, r"The card records the stage.*card\.after"),
        (_in_place, "are not changed"),
        (_training, "It returns a frozen predictor.*train mode"),
    ],
)
def test_a_broken_promise_is_named(stage, promise):
    with pytest.raises(
        AssertionError, match=rf"(?s){stage.__name__} breaks the promise: .*{promise}"
    ):
        check_stage(stage)


@pytest.fixture
def anonymous():
    """A stage that notes another name, and one that reads examples alone."""

    class Misnamed(Stage):
        """Note another name."""

        def run(self, predictor, data, **work):
            card = predictor.known_card().after("another")
            return predictor.freeze().with_card(card)

    class Picky(Stage):
        """Read pixels of examples."""

        def run(self, predictor, data, **work):
            changed = predictor.freeze()
            changed.bias.add_(data.x.float().mean())
            return changed.with_card(predictor.known_card().after("picky"))

    Misnamed.name, Picky.name = "misnamed", "picky"  # of no command
    return Misnamed, Picky


def test_a_broken_promise_of_a_class_is_named(anonymous):
    misnamed, picky = anonymous
    with pytest.raises(AssertionError, match=r"misnamed breaks.*another"):
        check_stage(misnamed)
    with pytest.raises(AssertionError, match=r"picky breaks.*data set"):
        check_stage(picky())
