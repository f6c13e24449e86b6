"""Fast weights and the gates between them. Both as loops: tests/nn/test_memory_{fast,gates}.py."""

import pytest
import torch

import toys
from medshot.core.errors import ConfigError, TaskError
from medshot.learners import build
from medshot.tasks import Classification


def test_an_answer_is_what_the_memory_recalls_of_the_support():
    ep, learner = toys.episode(Classification(3)), build("meta-memory", encoder=toys.Projection())
    z, asked = (
        torch.nn.functional.normalize(learner.encoder(x), dim=1) for x in (ep.support.x, ep.query.x)
    )
    expected = learner.memory.recall(asked, *learner.memory.write(z, torch.eye(3)[ep.support.y]))
    torch.testing.assert_close(learner.adapt(ep.support, ep.task)(ep.query.x), expected)


def test_meta_loss_is_the_loss_of_adapting_and_predicting():
    ep, learner = toys.episode(Classification(3)), build("meta-memory", encoder=toys.conv4())
    adapted = ep.task.loss(learner.adapt(ep.support, ep.task)(ep.query.x), ep.query.y)
    torch.testing.assert_close(learner.meta_loss(ep), adapted)


def test_without_fast_weights_the_support_says_nothing():
    ep, learner = (
        toys.episode(Classification(3), shots=1),
        build("meta-memory", encoder=toys.Projection()),
    )
    right = learner.adapt(ep.support, ep.task)(ep.support.x)
    assert right.argmax(1).tolist() == ep.support.y.tolist()
    with torch.no_grad():
        for rule in (learner.memory.hidden_rule, learner.memory.output_rule):
            for parameter in rule.parameters():
                parameter.zero_()
    other = toys.episode(Classification(3), seed=1)
    silent = learner.adapt(ep.support, ep.task)(ep.query.x)
    torch.testing.assert_close(learner.adapt(other.support, ep.task)(ep.query.x), silent)


def test_a_support_larger_than_the_memory_is_forgotten_in_part():
    ep = toys.episode(Classification(3))
    learner = build("meta-memory", encoder=toys.Projection(), slots=4)
    predictor = learner.adapt(ep.support, ep.task)
    assert len(predictor.keys) == len(predictor.strength) == 4 < len(ep.support)
    assert predictor(ep.query.x).isfinite().all()


def test_more_classes_than_slow_weights_are_refused():
    ep = toys.episode(Classification(5))
    learner = build("meta-memory", encoder=toys.Projection(), way=4)
    with pytest.raises(TaskError, match=r"4 classes, but the task has 5.*way=5"):
        learner.adapt(ep.support, ep.task)


def test_a_memory_without_slots_is_refused():
    with pytest.raises(ConfigError, match="slots is 0"):
        build("meta-memory", encoder=toys.Projection(), slots=0)


def test_nothing_is_compared_in_half_precision():
    ep, learner = toys.episode(Classification(3)), build("meta-memory", encoder=toys.Projection())
    exact = learner.meta_loss(ep)
    with torch.autocast("cpu", torch.bfloat16):
        assert learner.adapt(ep.support, ep.task)(ep.query.x).dtype == torch.float32
        torch.testing.assert_close(learner.meta_loss(ep), exact, atol=0.02, rtol=0.02)
