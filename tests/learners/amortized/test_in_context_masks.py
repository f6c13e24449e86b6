"""In-context segmentation: its parts against slow ones, what is kept, what practice brings."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

import toys
from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.core.registry import make, recipe
from medshot.learners import build
from medshot.learners.amortized import in_context_masks as module
from medshot.learners.amortized.in_context_masks import (
    DenseReader,
    RandomRidge,
    balanced_ridge,
    expanded,
    random_projection,
    random_ridge,
    weighted_ridge,
)
from medshot.tasks import Segmentation
from medshot.tasks.classification import one_hot


def test_the_linear_map_is_scikit_learns_on_standardised_features_with_balanced_classes():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(90, 5)) * [1, 5, 0.2, 1, 1] + 3, np.repeat([0, 1, 2], [70, 15, 5])
    weight = 1 / (3 * np.bincount(y)[y])
    scaler = StandardScaler().fit(z, sample_weight=weight)
    slow = Ridge(alpha=0.3, fit_intercept=True).fit(scaler.transform(z), np.eye(3)[y], weight)
    overall = torch.from_numpy(np.bincount(y) / len(y))
    labels, penalty = torch.eye(3).double()[y], torch.tensor(0.3).double()
    ours = balanced_ridge(torch.from_numpy(z), labels, overall, penalty).numpy()
    found = z @ ours[:-1] + ours[-1]
    np.testing.assert_allclose(found, slow.predict(scaler.transform(z)), atol=1e-5)


def test_what_is_kept_of_a_support_is_a_key_and_the_shares_of_a_patch():
    reader = DenseReader(3, patch=4, width=6, heads=1, hidden=8)
    y = torch.zeros(2, 8, 8, dtype=torch.int64)
    y[0, :4, :2], y[1, 4:] = 1, -1
    memory = reader.remember(torch.rand(2, 3, 8, 8), y, 2)
    assert memory.keys.shape == (6, 6)  # two of the eight patches say nothing
    torch.testing.assert_close(memory.shares[0], torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(memory.shares[1:], torch.tensor([[1.0, 0.0]]).expand(5, -1))
    torch.testing.assert_close(memory.overall, torch.tensor([88 / 96, 8 / 96]))


def test_classes_are_treated_alike_whatever_their_numbers():
    ep = toys.episode(Segmentation(3))
    learner = build("in-context-masks", encoder=toys.encoder(ep.task)).double()
    support = ep.support.to(torch.zeros((), dtype=torch.float64))
    turned = torch.tensor([2, 0, 1, -1])[support.y]  # -1 stays -1
    x = ep.query.x.double()
    first = learner.adapt(support, ep.task)(x)
    second = learner.adapt(Examples(support.x, turned), ep.task)(x)
    torch.testing.assert_close(second[:, [2, 0, 1]], first)


def test_practice_on_the_support_helps_where_nothing_was_learned_before():
    torch.manual_seed(0)
    ep = toys.episode(Segmentation(3), queries=16)
    shown, asked = ep.query[:8], ep.query[8:]  # all of their pixels are labelled
    scores = {}
    for steps in (0, 30):
        learner = build("in-context-masks", encoder=toys.encoder(ep.task), steps=steps, lr=0.01)
        scores[steps] = toys.accuracy(learner.adapt(shown, ep.task), asked)
    assert 1 / 3 < scores[0] < scores[30] <= 1


@pytest.mark.parametrize("shots", [1, 3, 4])
def test_practice_leaves_the_learner_alone_and_can_be_repeated(shots):
    ep = toys.episode(Segmentation(2), shots=shots)
    learner = build("in-context-masks", encoder=toys.encoder(ep.task), steps=2)
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    first, again = (learner.adapt(ep.support, ep.task)(ep.query.x) for _ in range(2))
    torch.testing.assert_close(dict(learner.state_dict()), before, rtol=0, atol=0)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    plain = learner._read(ep.support, ep.task)(ep.query.x)
    assert not torch.allclose(first, plain)


@pytest.mark.parametrize("option", [{"patch": 0}, {"heads": 0}, {"steps": -1}])
def test_options_that_cannot_be_are_refused(option):
    with pytest.raises(ConfigError, match="at least"):
        build("in-context-masks", encoder=toys.encoder(Segmentation(2)), **option)


# A ridge on random features: against scikit-learn, and on what no line can part.


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
    rows = expanded(
        (z - mean) / deviation, *(each.double() for each in random_projection(2, 16))
    ).numpy()
    slow = Ridge(alpha=module.PENALTY).fit(rows, np.eye(2)[y], weight[:, 0].numpy())
    found = random_ridge(z, one_hot(y, 2, z), 16)(z).numpy()
    np.testing.assert_allclose(found, slow.predict(rows), atol=1e-4)


def test_it_parts_a_ring_that_no_line_parts():
    (z, y), (other, asked) = _ring(400, 0), _ring(400, 1)
    right = [
        (random_ridge(z, one_hot(y, 2, z), more)(other).argmax(1) == asked).double().mean().item()
        for more in (0, 64)
    ]
    most = max(asked.double().mean().item(), 1 - asked.double().mean().item())
    assert right[0] < most + 0.1 < 0.9 < right[1]


def test_of_many_rows_some_are_drawn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ROWS", 200)
    z, y = _ring(4000, 0)
    first, again = random_ridge(z, one_hot(y, 2, z), 16), random_ridge(z, one_hot(y, 2, z), 16)
    assert torch.equal(first.weights, again.weights)
    assert ((first(z).argmax(1) == y).double().mean()) > 0.85


def test_it_is_made_again_from_its_recipe():
    z, y = _ring(100, 0)
    found = random_ridge(z, one_hot(y, 2, z), 16)
    other = make(recipe(found))
    assert isinstance(other, RandomRidge)
    other.load_state_dict(found.state_dict())
    assert torch.equal(other(z), found(z))
