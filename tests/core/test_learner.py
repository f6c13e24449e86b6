"""Adapting to a loaded folder."""

import pytest
import torch
from torch import nn

import toys
from medshot.core.errors import SaveError, TaskError
from medshot.core.learner import Learner, SupportSet
from medshot.learners import build
from medshot.tasks import Classification


def test_a_folder_brings_its_task_its_labels_and_its_form():
    loaded = toys.dataset(4, channels=3, size=20)
    assert isinstance(loaded, SupportSet)
    predictor = build("prototypical", encoder=toys.conv4()).adapt(loaded)
    assert predictor(toys.images(2)).shape == (2, 4)
    assert predictor.card.task == Classification(4)
    assert predictor.card.labels == loaded.labels
    assert (predictor.card.preprocessing.channels, predictor.card.preprocessing.size) == (1, 16)
    assert predictor.card.data["images"] == {f"class {i}": 4 for i in range(4)}


def test_a_folder_gives_the_predictor_of_its_examples_frozen_and_with_its_provenance():
    learner, loaded = build("maml", encoder=toys.conv4(), lr=0.05).double(), toys.dataset()
    learner.origin = "meta-trained on toys"
    predictor = learner.adapt(loaded)
    examples = loaded.examples().to(torch.zeros((), dtype=torch.float64))
    x = toys.images().double()
    torch.testing.assert_close(predictor(x), learner.adapt(examples, Classification(3))(x))
    assert not predictor(x).requires_grad
    made_by = predictor.card.learner
    assert made_by["learner"]["part"] == "learner/maml"
    assert made_by["learner"]["options"]["lr"] == 0.05
    assert made_by["origin"] == "meta-trained on toys"
    assert "Finn" in made_by["source"]


def test_an_encoder_that_is_no_part_is_refused_with_what_to_do():
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16 * 16, 4))
    with pytest.raises(SaveError, match=r"Sequential cannot be saved.*@medshot\.part"):
        build("prototypical", encoder=encoder).adapt(toys.dataset())


def test_the_default_meta_loss_is_the_query_loss_after_adapting():
    ep = toys.episode(Classification(3))
    learner = build("maml", encoder=toys.conv4())
    predictor = learner.adapt(ep.support, ep.task)
    expected = ep.task.loss(predictor(ep.query.x), ep.query.y)
    torch.testing.assert_close(Learner.meta_loss(learner, ep), expected)


def test_check_refuses_without_learning():
    with pytest.raises(TaskError, match="head of 2 classes"):
        build("maml", encoder=toys.conv4(), way=2).check(Classification(3))
