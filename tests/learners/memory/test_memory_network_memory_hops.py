"""Hops against Sukhbaatar's readings written as loops over whole vectors, codes included."""

import pytest
import torch

from medshot.learners.memory.addressing import FLOOR
from medshot.learners.memory.memory_network import Hops


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
