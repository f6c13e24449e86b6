"""Fast weights of a gradient: a step down it, and the same correction for every number."""

import math

import pytest
import torch

from medshot.learners.memory.meta_memory import FromGradient


def test_every_number_is_a_step_and_a_correction_of_it_alone():
    rule, gradient = FromGradient(rate=0.3), torch.randn(2, 3)
    first, _, last = rule.correction
    found = rule(gradient)
    for i in range(2):
        for j in range(3):
            g = gradient[i, j].item()
            inside = torch.tanh(first.weight[:, 0] * math.asinh(g * math.e**7) / 7 + first.bias)
            slow = -0.3 * g + (last.weight[0] @ inside + last.bias[0]).item()
            assert found[i, j].item() == pytest.approx(slow, abs=1e-5)


def test_the_beginning_is_nearly_one_step_of_gradient_descent():
    gradient = torch.randn(100)
    assert (FromGradient(rate=0.3)(gradient) + 0.3 * gradient).abs().max() < 0.1


def test_numbers_are_told_apart_by_their_logarithm_also_when_tiny():
    rule = FromGradient(rate=0.0)
    with torch.no_grad():
        rule.correction[0].weight.fill_(1e-3)  # tanh is then nearly its argument
        rule.correction[0].bias.zero_()
        rule.correction[2].weight.fill_(1.0)
    one, hundredth, negative = rule(torch.tensor([1.0, 0.01, -1.0])).tolist()
    assert hundredth / one == pytest.approx(1 - math.log(100) / (7 + math.log(2)), abs=0.01)
    assert negative == pytest.approx(-one)
