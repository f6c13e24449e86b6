"""Attention against a loop over queries and keys."""

import math

import pytest
import torch

from medshot.nn.layers import attend


@pytest.mark.parametrize("partly", [False, True])
def test_each_query_gets_the_weighted_mean_of_the_values(partly):
    q, k, v = torch.randn(3, 4), torch.randn(5, 4), torch.randn(5, 2)
    seen = torch.rand(3, 5) < 0.5 if partly else torch.ones(3, 5, dtype=torch.bool)
    seen[:, 2] = True
    found = attend(q, k, v, seen if partly else None)
    for i in range(3):
        looked = [j for j in range(5) if seen[i, j]]
        odds = [math.exp(float(q[i] @ k[j]) / 2) for j in looked]
        slow = sum(o * v[j] for o, j in zip(odds, looked, strict=True)) / sum(odds)
        torch.testing.assert_close(found[i], slow)


def test_heads_do_not_mix():
    q, k, v = torch.randn(2, 3, 4), torch.randn(2, 5, 4), torch.randn(2, 5, 4)
    for head in range(2):
        torch.testing.assert_close(attend(q, k, v)[head], attend(q[head], k[head], v[head]))


def test_it_can_be_differentiated_twice():
    sets = [torch.randn(n, 2, dtype=torch.float64, requires_grad=True) for n in (2, 3, 3)]
    assert torch.autograd.gradgradcheck(attend, sets)
