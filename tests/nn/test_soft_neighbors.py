"""Votes of labeled rows."""

import torch
import torch.nn.functional as F

from medshot.nn.soft_neighbors import MOST, cross_fitted_neighbors


def rows(n: int, seed: int = 0):
    """Two classes in two directions; the second is rare."""
    rng = torch.Generator().manual_seed(seed)
    y = (torch.arange(n) % 8 == 0).long()
    z = 0.3 * torch.randn(n, 16, generator=rng)
    z[:, 0] += 1 - y
    z[:, 1] += y
    return z, F.one_hot(y, 2).float(), y


def test_similar_rows_vote_for_their_class():
    z, labels, _ = rows(400)
    (made,) = cross_fitted_neighbors(z, labels, None)
    asked, _, y = rows(200, 1)
    found = made(asked)
    assert (found.argmax(1) == y).float().mean() > 0.95
    assert torch.allclose(found.sum(1), torch.ones(200))


def test_length_of_a_row_does_not_matter():
    z, labels, _ = rows(100)
    (made,) = cross_fitted_neighbors(z, labels, None)
    assert torch.allclose(made(z), made(7 * z), atol=1e-5)


def test_a_fold_has_no_vote_on_itself():
    """Labels that are noise are known by heart only to whom has seen them."""
    rng = torch.Generator().manual_seed(0)
    z, y = torch.randn(200, 32, generator=rng), torch.randint(2, (200,), generator=rng)
    folds = torch.arange(200) % 2
    every, first, second = cross_fitted_neighbors(z, F.one_hot(y, 2).float(), folds, 2)
    held = torch.where((folds == 0)[:, None], first(z), second(z)).argmax(1)
    assert (every(z).argmax(1) == y).float().mean() > 0.9
    assert (held == y).float().mean() < 0.65


def test_the_order_of_more_rows_than_vote_does_not_matter():
    z, labels, _ = rows(2 * MOST)
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(1))
    (first,), (second,) = (
        cross_fitted_neighbors(*each, None) for each in ((z, labels), (z[order], labels[order]))
    )
    assert len(first.keys) <= MOST
    assert torch.allclose(first(z[:50]), second(z[:50]), atol=1e-3)


def test_a_class_without_rows_gets_no_votes():
    z, labels, _ = rows(100)
    (made,) = cross_fitted_neighbors(z, F.pad(labels, (0, 1)), None)
    assert not made(z)[:, 2].any()
