"""What is freed: how much of it, how far it is, and what has nothing to free."""

import pytest
import torch

import toys
from medshot.core.errors import ConfigError
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.stages.finetune.methods import TrainableCopy, get_method
from medshot.tasks import Classification

HEAD = 8 * 3 + 3  # 8 features of an image of 16 pixels, 3 classes
CONVOLUTIONS = 4
WEIGHTS = 9 * 8 * 1 + 3 * (9 * 8 * 8)


@pytest.mark.parametrize(
    ("way", "below"),
    [
        ("head", 0),
        ("film", CONVOLUTIONS * (8 + 8)),
        ("bias", CONVOLUTIONS * (8 + 8 + 8)),
        ("lora", (9 + 8) * 4 + 3 * (72 + 8) * 4),
        ("adapter", 8 + 3 * 64),
        ("all", WEIGHTS + CONVOLUTIONS * (8 + 8 + 8)),
    ],
)
def test_as_many_numbers_move_as_one_counts_by_hand(way, below):
    freed = TrainableCopy(_predictor("linear-probe"), get_method(way))
    assert freed.moving == HEAD + below


def test_the_distance_is_that_of_the_weights_that_layers_work_with():
    freed = TrainableCopy(_predictor("linear-probe"), get_method("lora"))
    start = freed.settled().state_dict()
    freed = TrainableCopy(_predictor("linear-probe"), get_method("lora"))
    assert freed.distance() == 0
    with torch.no_grad():
        for p in freed.predictor.parameters():
            if p.requires_grad:
                p.add_(0.1 * torch.randn_like(p))
    found, after = freed.distance(), freed.settled().state_dict()
    by_hand = sum((after[name] - start[name]).square().sum() for name in start)
    torch.testing.assert_close(found, by_hand)
    assert found > 0.1


def test_what_somebody_said_of_the_support_does_not_move():
    freed = TrainableCopy(_predictor("matching"), get_method("head"))
    assert {move.weight for move in freed.moves} == {"known", "scale"}


def test_an_encoder_without_weights_has_a_head_that_moves():
    predictor = _predictor("linear-probe", encoder("pixels", channels=1, size=toys.SIZE))
    assert TrainableCopy(predictor, get_method("head")).moving == 3 * toys.SIZE**2 + 3
    for name in ("all", "bias", "film", "lora", "adapter"):
        with pytest.raises(ConfigError, match=f"pixels has no .*'{name}' has nothing to train"):
            TrainableCopy(predictor, get_method(name))


def _predictor(name, module=None):
    torch.manual_seed(0)
    task = Classification(3)
    learner = build(name, encoder=module or toys.conv4())
    return learner.adapt(toys.episode(task).support, task).freeze()
