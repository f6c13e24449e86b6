"""SNAIL's blocks against loops over positions, and a query alone against the whole sequence."""

import pytest
import torch
from torch.nn.functional import normalize, one_hot

from medshot.learners.amortized.snail import Attention, Convolution, Snail

BLOCKS = [Convolution(4, 3, 1), Convolution(4, 3, 4), Convolution(4, 3, 64), Attention(4, 3)]


@pytest.mark.parametrize("dilation", [1, 2, 8])
def test_a_convolution_looks_at_a_position_and_at_one_before(dilation):
    block, x = Convolution(4, 3, dilation), torch.randn(6, 4)
    found = block.over(x)
    for t in range(6):
        before = x[t - dilation] if t >= dilation else torch.zeros(4)
        taps = block.taps(torch.cat([x[t], before]))
        slow = taps[:3].tanh() * taps[3:].sigmoid()
        torch.testing.assert_close(found[t], torch.cat([x[t], slow]))


def test_attention_looks_at_a_position_and_at_all_before():
    block, x = Attention(4, 3), torch.randn(6, 4)
    found = block.over(x)
    for t in range(6):
        scores = torch.stack([block.queries(x[t]) @ block.keys(x[s]) for s in range(t + 1)])
        weights = (scores / 3**0.5).softmax(0)
        slow = sum(weights[s] * block.values(x[s]) for s in range(t + 1))
        torch.testing.assert_close(found[t], torch.cat([x[t], slow]))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("length", [1, 4, 7])
def test_what_follows_gets_what_the_last_of_the_sequence_gets(block, length):
    past, queries = torch.randn(length, 4), torch.randn(3, 4)
    found = block.after(queries, past)
    for i in range(3):
        whole = block.over(torch.cat([past, queries[i : i + 1]]))
        torch.testing.assert_close(found[i], whole[-1])


def test_an_answer_is_the_last_row_of_the_whole_sequence():
    net = Snail(features=4, way=5, length=8, width=3)
    labels = one_hot(torch.arange(6) % 3, 3).float()
    z, queries = normalize(torch.randn(6, 4)), normalize(torch.randn(2, 4))
    answers = net.answer(queries, net.remember(z, labels))
    for i in range(2):
        x = torch.zeros(7, 9)  # features of mean square 1 and label codes; the query has none
        x[:, :4] = torch.cat([z, queries[i : i + 1]]) * 2
        x[:6, 4:7] = labels
        for block in net.blocks:
            x = block.over(x)
        torch.testing.assert_close(answers[i], net.read(x[-1]))


@pytest.mark.parametrize(("length", "layers"), [(3, 2), (4, 2), (5, 3), (128, 7)])
def test_convolutions_reach_over_the_longest_sequence_and_no_further_than_needed(length, layers):
    blocks = Snail(features=4, way=5, length=length, width=3).blocks
    dilations = [block.dilation for block in blocks if isinstance(block, Convolution)]
    assert dilations == 2 * [2**i for i in range(layers)]
    assert sum(dilations[: layers - 1]) < length - 1 <= sum(dilations[:layers])
    assert sum(isinstance(block, Attention) for block in blocks) == 3
