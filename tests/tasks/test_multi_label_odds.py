"""Questions of yes or no: as far apart as a slow sum says."""

import math

import pytest
import torch

from medshot.tasks.multi_label import bernoulli_kl


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_it_is_the_sum_of_both_answers(temperature):
    ours, theirs = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    total = 0.0
    for a, b in zip(ours.flatten().tolist(), theirs.flatten().tolist(), strict=True):
        p, q = (1 / (1 + math.exp(-v / temperature)) for v in (a, b))
        total += q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))
    found = bernoulli_kl(ours, theirs, temperature)
    assert found.item() == pytest.approx(temperature**2 * total / 12)


def test_the_same_is_not_apart_and_certainty_is_no_nan():
    sure = torch.tensor([200.0, -200.0])
    assert bernoulli_kl(sure, sure) == 0
    assert bernoulli_kl(-sure, sure) == 200
