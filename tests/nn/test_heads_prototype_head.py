"""The linear head of prototypes against distances in loops."""

import torch
from torch.nn.functional import one_hot

from medshot.nn.heads import prototype_head


def test_it_decides_as_minus_the_scaled_squared_distance():
    z, y, queries = torch.randn(6, 4), torch.tensor([0, 1, 1, 0, 2, 1]), torch.randn(5, 4)
    weight, bias = prototype_head(z, one_hot(y, 3).float(), torch.tensor(0.7))
    for query in queries:
        slow = [-0.7 * ((query - z[y == c].mean(0)) ** 2).sum() for c in range(3)]
        odds = (query @ weight + bias).softmax(0)
        torch.testing.assert_close(odds, torch.stack(slow).softmax(0))


def test_it_is_not_in_half_precision():
    z, labels = torch.randn(6, 4), one_hot(torch.arange(6) % 3, 3).float()
    exact = prototype_head(z, labels, torch.tensor(0.7))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(
            prototype_head(z, labels, torch.tensor(0.7)), exact, rtol=0, atol=0
        )
