"""Memories of the support, read in hops."""

from dataclasses import replace

import pytest
import torch

import toys
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.learners.memory.memory_network import Hops
from medshot.learners.memory.ntm import FLOOR
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


# Hops against Sukhbaatar's readings written as loops over whole vectors, codes included.


@pytest.fixture
def memory() -> Hops:
    made = Hops(6, width=5, hops=3, strength=2.0).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return made


def test_an_answer_is_the_papers_readings_one_memory_at_a_time(memory):
    z, y = torch.randn(7, 6).double(), torch.tensor([0, 1, 2, 2, 1, 0, 0])
    codes, asked = torch.eye(3).double()[y], torch.randn(2, 6).double()
    found = memory.recall(asked, *memory.remember(z), codes)
    a, c, h = (layer.weight for layer in (memory.to_input, memory.to_output, memory.carry))
    for q in range(2):
        # u, m_i and c_i hold features first and then a code, as A, C and H are blocks
        u, said = a @ asked[q], torch.zeros(3).double()
        for _ in range(3):
            scores = [
                memory.strength * (u @ (a @ z[i])) + memory.agreement * (said @ codes[i])
                for i in range(7)
            ]
            p = [s.exp() / sum(t.exp() for t in scores) for s in scores]
            u = h @ u + sum(p[i] * (c @ z[i]) for i in range(7))
            said = said + sum(p[i] * codes[i] for i in range(7))
        torch.testing.assert_close(found[q], torch.log(said / 3 + FLOOR))


def test_one_hop_is_attention_over_the_memories():
    memory = Hops(4, width=4, hops=1, strength=3.0)
    z, codes = torch.nn.functional.normalize(torch.randn(5, 4), dim=1), torch.eye(5)
    found = memory.recall(z, *memory.remember(z), codes).softmax(1)
    expected = (3 * z @ z.T).softmax(1)  # an orthogonal map keeps what is alike
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_with_more_hops_what_the_first_reading_believes_weighs_more():
    z = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    codes, asked = torch.eye(2).repeat(3, 1), z[:1]
    sure = []
    for hops in (1, 2, 4):
        memory = Hops(4, width=4, hops=hops, strength=3.0)
        sure.append(memory.recall(asked, *memory.remember(z), codes).softmax(1)[0, 0].item())
    assert sure[0] < sure[1] < sure[2]


def test_the_order_of_the_memories_does_not_matter(memory):
    z, codes, asked = (
        torch.randn(6, 6).double(),
        torch.eye(3).double().repeat(2, 1),
        torch.ones(1, 6),
    )
    inputs, outputs = memory.remember(z)
    order = torch.randperm(6)
    straight = memory.recall(asked.double(), inputs, outputs, codes)
    shuffled = memory.recall(asked.double(), inputs[order], outputs[order], codes[order])
    torch.testing.assert_close(shuffled, straight)
