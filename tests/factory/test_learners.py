"""From words to a learner: encoders shared, drawn from one seed, and what was given kept."""

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.factory.learners import WAYS, Builder
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.selection import Configuration
from medshot.selection.space import FINETUNE
from medshot.stages.finetune import FineTuned
from medshot.stages.finetune.methods import methods

SMALL = {"encoder.width": 4, "encoder.size": 16}


def test_settings_reach_the_learner_and_its_encoder():
    made = Builder()(Configuration("linear-probe", "conv4", SMALL | {"c": 3.0}))
    assert made.c == 3.0
    assert (made.encoder.size, made.encoder.n_features) == (16, 4)


def test_learners_share_an_encoder_that_is_the_same_in_any_order():
    probe, lda = (Configuration(name, "conv4", SMALL) for name in ("linear-probe", "lda"))
    other = Configuration("lda", "conv4", SMALL | {"encoder.width": 8})
    first, second = Builder(), Builder()
    assert first(probe).encoder is first(lda).encoder
    second(other)
    torch.rand(3)
    for one, two in zip(first(lda).parameters(), second(lda).parameters(), strict=True):
        assert torch.equal(one, two)


def test_it_leaves_the_random_state_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    Builder()(Configuration("lda", "conv4", SMALL))
    assert torch.equal(torch.rand(1), expected)


def test_what_was_given_is_kept():
    mine = build("lda", encoder="pixels")
    assert Builder({"runs/mine": mine})(Configuration("runs/mine")) is mine


def test_a_setting_fine_tunes_any_learner_afterwards():
    built = Builder()(Configuration("linear-probe", "conv4", SMALL | {"c": 3.0, FINETUNE: "lora"}))
    assert isinstance(built, FineTuned)
    assert (built.what, built.learner.c) == ("lora", 3.0)
    mine = build("linear-probe", encoder=encoder("conv4", width=4, size=16))
    tuned = Builder({"runs/mine": mine})(Configuration("runs/mine", settings={FINETUNE: "film"}))
    assert isinstance(tuned, FineTuned)
    assert tuned.learner is mine


def test_every_way_there_is_may_be_chosen():
    assert set(WAYS[FINETUNE].values) == set(methods())


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Configuration("ldaa", "pixels"), "no learner called 'ldaa'"),
        (Configuration("lda", "pixel"), "no encoder called 'pixel'"),
        (Configuration("lda", "pixels", {"encoder.x": 1}), "no option of 'pixels' called 'x'"),
        (Configuration("lda", "pixels", {"c": 1}), "no option of 'lda' called 'c'"),
    ],
)
def test_what_there_is_not_is_refused(wanted: Configuration, said: str):
    with pytest.raises(ConfigError, match=said):
        Builder()(wanted)
