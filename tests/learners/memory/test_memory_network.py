"""Memories of the support, read in hops. The readings as loops: tests/nn/test_memory_hops.py."""

from dataclasses import replace

import pytest
import torch

import toys
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.tasks import Classification


def test_an_answer_is_what_the_hops_read_of_the_supports_labels():
    ep, learner = (
        toys.episode(Classification(3)),
        build("memory-network", encoder=toys.Projection()),
    )
    z, asked = (
        torch.nn.functional.normalize(learner.encoder(x), dim=1) for x in (ep.support.x, ep.query.x)
    )
    labels = torch.eye(3)[ep.support.y]
    expected = learner.memory.recall(asked, *learner.memory.remember(z), labels)
    torch.testing.assert_close(learner.adapt(ep.support, ep.task)(ep.query.x), expected)


def test_meta_loss_is_the_loss_of_adapting_and_predicting():
    ep, learner = toys.episode(Classification(3)), build("memory-network", encoder=toys.conv4())
    adapted = ep.task.loss(learner.adapt(ep.support, ep.task)(ep.query.x), ep.query.y)
    torch.testing.assert_close(learner.meta_loss(ep), adapted)


def test_an_image_of_the_support_is_known_again():
    ep = toys.episode(Classification(5), shots=1)
    learner = build("memory-network", encoder=toys.Projection())
    predictor = learner.adapt(ep.support, ep.task)
    assert predictor(ep.support.x).argmax(1).tolist() == ep.support.y.tolist()


def test_names_of_classes_can_be_exchanged_and_there_may_be_any_number():
    ep, learner = (
        toys.episode(Classification(30)),
        build("memory-network", encoder=toys.Projection()),
    )
    other = replace(ep.support, y=(ep.support.y + 1) % 30)
    straight, renamed = (learner.adapt(s, ep.task)(ep.query.x) for s in (ep.support, other))
    torch.testing.assert_close(renamed.roll(-1, dims=1), straight)


@pytest.mark.parametrize("hops", [1, 2, 5])
def test_any_number_of_hops_reads(hops):
    ep = toys.episode(Classification(3))
    learner = build("memory-network", encoder=toys.Projection(), hops=hops)
    assert learner.adapt(ep.support, ep.task)(ep.query.x).isfinite().all()


def test_a_memory_that_is_never_read_is_refused():
    with pytest.raises(ConfigError, match="hops is 0"):
        build("memory-network", encoder=toys.Projection(), hops=0)


def test_nothing_is_compared_in_half_precision():
    ep, learner = (
        toys.episode(Classification(3)),
        build("memory-network", encoder=toys.Projection()),
    )
    exact = learner.meta_loss(ep)
    with torch.autocast("cpu", torch.bfloat16):
        assert learner.adapt(ep.support, ep.task)(ep.query.x).dtype == torch.float32
        torch.testing.assert_close(learner.meta_loss(ep), exact, atol=0.02, rtol=0.02)
