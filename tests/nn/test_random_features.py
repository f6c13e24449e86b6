"""A ridge on random features: against scikit-learn, and on what no line can part."""

import numpy as np
import torch
from sklearn.linear_model import Ridge

from medshot.nn.random_features import RandomFeatures, moments, weighted_ridge, weights_of


def test_the_linear_map_is_scikit_learns_with_weighted_rows():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(90, 5)), np.repeat([0, 1, 2], [70, 15, 5])
    weight = rng.random((90, 1))
    weight /= weight.sum()
    slow = Ridge(alpha=0.3, fit_intercept=True).fit(z, np.eye(3)[y], weight[:, 0])
    labels = torch.eye(3).double()[y]
    penalty = torch.tensor(0.3).double()
    ours = weighted_ridge(torch.from_numpy(z), labels, torch.from_numpy(weight), penalty).numpy()
    np.testing.assert_allclose(z @ ours[:-1] + ours[-1], slow.predict(z), atol=1e-8)


def test_moments_are_those_of_the_weighted_rows():
    z = torch.tensor([[1.0, 2.0], [3.0, 6.0]]).double()
    mean, deviation = moments(z, torch.tensor([[0.25], [0.75]]).double())
    torch.testing.assert_close(mean, torch.tensor([2.5, 5.0]).double())
    slow = torch.tensor([0.25 * 1.5**2 + 0.75 * 0.5**2, 0.25 * 3**2 + 0.75 * 1**2]).double()
    torch.testing.assert_close(deviation, slow.sqrt(), atol=1e-5, rtol=0)


def test_a_balance_of_one_lets_every_class_count_alike_and_of_none_every_row():
    labels = torch.eye(2)[torch.tensor([0] * 9 + [1])]
    overall = labels.mean(0)
    alike = weights_of(labels, overall, torch.tensor(0.0))
    torch.testing.assert_close(alike, torch.full((10, 1), 0.1))
    fair = weights_of(labels, overall, torch.tensor(1.0))
    torch.testing.assert_close(fair.T @ labels, torch.tensor([[0.5, 0.5]]), atol=0.01, rtol=0)


def test_random_features_part_a_ring_that_no_line_parts():
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(400, 2, generator=rng)
    inside = (z.norm(dim=1) < 1.1).long()
    labels, even = torch.eye(2)[inside], torch.full((400, 1), 1 / 400)

    def right(rows: torch.Tensor) -> float:
        line = weighted_ridge(rows, labels, even, torch.tensor(1e-4))
        return ((rows @ line[:-1] + line[-1]).argmax(1) == inside).double().mean().item()

    most = max(inside.double().mean().item(), 1 - inside.double().mean().item())
    assert right(z) < most + 0.1 < 0.9 < right(RandomFeatures(2, 64)(z))


def test_two_that_are_made_are_the_same():
    first, second = RandomFeatures(3, 4).state_dict(), RandomFeatures(3, 4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
