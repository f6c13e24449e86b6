"""A ridge on random features: against scikit-learn, and on what no line can part."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from medshot.core.registry import make, recipe
from medshot.learners.amortized import in_context_masks as module
from medshot.learners.amortized.in_context_masks import (
    RandomRidge,
    drawn,
    expanded,
    random_ridge,
    weighted_ridge,
)


def _ring(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return z, (z.norm(dim=1) < 1.1).long()


def test_the_linear_map_is_scikit_learns_with_weighted_rows():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(90, 5)), np.repeat([0, 1, 2], [70, 15, 5])
    weight = rng.random((90, 1))
    weight /= weight.sum()
    slow = Ridge(alpha=0.3, fit_intercept=True).fit(z, np.eye(3)[y], weight[:, 0])
    labels = torch.eye(3).double()[y]
    ours = weighted_ridge(torch.from_numpy(z), labels, torch.from_numpy(weight), 0.3).numpy()
    np.testing.assert_allclose(z @ ours[:-1] + ours[-1], slow.predict(z), atol=1e-8)


def test_the_fit_is_that_of_scikit_learn_on_standardised_rows():
    z, y = (each.double() if each.is_floating_point() else each for each in _ring(300, 0))
    weight = (y.bincount() / len(y) + module.EPS)[y] ** -module.BALANCE
    weight = (weight / weight.sum())[:, None]
    mean = (weight * z).sum(0)
    deviation = (weight * (z - mean).square()).sum(0).sqrt()
    rows = expanded((z - mean) / deviation, *(each.double() for each in drawn(2, 16))).numpy()
    slow = Ridge(alpha=module.PENALTY).fit(rows, np.eye(2)[y], weight[:, 0].numpy())
    found = random_ridge(z, y, 2, 16)(z).numpy()
    np.testing.assert_allclose(found, slow.predict(rows), atol=1e-4)


def test_it_parts_a_ring_that_no_line_parts():
    (z, y), (other, asked) = _ring(400, 0), _ring(400, 1)
    right = [
        (random_ridge(z, y, 2, more)(other).argmax(1) == asked).double().mean().item()
        for more in (0, 64)
    ]
    most = max(asked.double().mean().item(), 1 - asked.double().mean().item())
    assert right[0] < most + 0.1 < 0.9 < right[1]


def test_of_many_rows_some_are_drawn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ROWS", 200)
    z, y = _ring(4000, 0)
    first, again = random_ridge(z, y, 2, 16), random_ridge(z, y, 2, 16)
    assert torch.equal(first.weights, again.weights)
    assert ((first(z).argmax(1) == y).double().mean()) > 0.85


def test_it_is_made_again_from_its_recipe():
    z, y = _ring(100, 0)
    found = random_ridge(z, y, 2, 16)
    other = make(recipe(found))
    assert isinstance(other, RandomRidge)
    other.load_state_dict(found.state_dict())
    assert torch.equal(other(z), found(z))
