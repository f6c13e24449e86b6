"""The set transformer against loops over heads and tokens, and its codes."""

import pytest
import torch
from torch.nn.functional import normalize, one_hot

from medshot.learners.amortized.in_context import Layer, SetTransformer, simplex


@pytest.mark.parametrize("way", [2, 5, 20])
def test_codes_have_length_one_and_any_two_the_widest_angle(way):
    cosines = simplex(way) @ simplex(way).T
    slow = torch.full((way, way), -1 / (way - 1)).fill_diagonal_(1.0)
    torch.testing.assert_close(cosines, slow)


def test_a_layer_is_attention_of_each_head_and_two_maps():
    layer, x, others = Layer(width=6, heads=2), torch.randn(3, 6), torch.randn(4, 6)
    found = layer(x, layer.remember(others))
    for i in range(3):
        query = layer.queries(layer.before(x[i]))
        parts = []
        for head in (slice(0, 3), slice(3, 6)):
            keys = [layer.keys(layer.before(o))[head] for o in others]
            values = [layer.values(layer.before(o))[head] for o in others]
            weights = torch.stack([query[head] @ key / 3**0.5 for key in keys]).softmax(0)
            parts.append(sum(w * v for w, v in zip(weights, values, strict=True)))
        looked = x[i] + layer.mix(torch.cat(parts))
        torch.testing.assert_close(found[i], looked + layer.after(looked))


def test_an_answer_is_how_well_a_token_fits_each_code():
    net = SetTransformer(features=4, way=5, width=6, layers=2, heads=2)
    y, z, queries = torch.arange(6) % 3, normalize(torch.randn(6, 4)), normalize(torch.randn(2, 4))
    memory = net.remember(z, one_hot(y, 3).float())
    answers = net.answer(queries, memory)
    assert memory.shape == (2, 2, 6, 6)

    codes = torch.stack([simplex(5)[c] for c in y]) * 5**0.5
    seen = net.image(z * 2) + net.label(codes)
    for i in range(2):
        token = net.image(queries[i] * 2) + net.label(net.unknown * 5**0.5)
        context = seen
        for layer in net.layers:
            token = layer(token[None], layer.remember(context))[0]
            context = layer(context, layer.remember(context))
        slow = torch.stack([net.read(token) @ simplex(5)[c] for c in range(5)])
        torch.testing.assert_close(answers[i], slow)
