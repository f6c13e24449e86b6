"""The perceptron against a loop over its units."""

import math

import torch

import toys
from medshot.learners.amortized.hypernetwork import WEIGHTS, Perceptron

SHAPES = ((5, 4), (4,), (4, 3), (5, 3), (3,))


def test_a_score_is_the_sum_of_the_units_and_of_the_way_past_them():
    encoder, x = toys.Projection(outputs=5), toys.images()
    hidden, hidden_bias, out, direct, bias = weights = [torch.randn(shape) for shape in SHAPES]
    scores = Perceptron(encoder, *weights)(x)
    for i, z in enumerate(encoder(x)):
        for c in range(3):
            slow = bias[c] + z @ direct[:, c]
            for h in range(4):
                slow = slow + out[h, c] * math.tanh((z @ hidden[:, h] + hidden_bias[h]).item())
            torch.testing.assert_close(scores[i, c], slow)


def test_its_weights_are_in_the_state_and_are_no_parameters():
    head = Perceptron(toys.Projection(outputs=5), *(torch.randn(shape) for shape in SHAPES))
    assert set(WEIGHTS) <= set(head.state_dict())
    assert all(name.startswith("encoder.") for name, _ in head.named_parameters())


def test_nothing_after_the_features_is_in_half_precision():
    head = Perceptron(toys.Projection(outputs=5), *(torch.randn(shape) for shape in SHAPES))
    z = torch.randn(6, 5)
    exact = head.answer(z)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(head.answer(z), exact, rtol=0, atol=0)
