"""Steps, projections and draws, against slow formulas."""

import pytest
import torch

from medshot.stages.robustness.threat_model import NORMS


def _long(change, name):
    flat = change.flatten(1)
    return flat.abs().max(1).values if name == "linf" else flat.square().sum(1).sqrt()


@pytest.mark.parametrize("name", NORMS)
def test_the_steepest_change_is_the_best_of_many_of_its_length(name):
    norm, gradient = NORMS[name], torch.randn(4, 1, 3, 3)
    best = norm.steepest(gradient)
    torch.testing.assert_close(_long(best, name), torch.ones(4))
    for seed in range(50):
        other = norm.drawn(gradient, 1.0, torch.Generator().manual_seed(seed))
        assert ((gradient * best).flatten(1).sum(1) >= (gradient * other).flatten(1).sum(1)).all()


@pytest.mark.parametrize("name", NORMS)
def test_no_gradient_is_no_step(name):
    assert not NORMS[name].steepest(torch.zeros(2, 1, 3, 3)).any()


@pytest.mark.parametrize("name", NORMS)
def test_a_projection_is_the_nearest_and_what_is_inside_stays(name):
    norm, change = NORMS[name], 3 * torch.randn(4, 2, 3, 3)
    found = norm.projected(change, 0.5)
    assert (_long(found, name) <= 0.5 + 1e-6).all()
    inside = norm.projected(found, 0.5)
    torch.testing.assert_close(inside, found)
    for seed in range(50):
        other = norm.drawn(change, 0.5, torch.Generator().manual_seed(seed))
        apart = [(change - f).flatten(1).norm(dim=1) for f in (found, other)]
        assert (apart[0] <= apart[1]).all()


@pytest.mark.parametrize("name", NORMS)
def test_draws_fill_the_ball_and_depend_on_the_seed_alone(name):
    norm, like = NORMS[name], torch.zeros(2000, 1, 1, 2)
    first, again, other = (
        norm.drawn(like, 0.5, torch.Generator().manual_seed(s)) for s in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    long = _long(first, name)
    assert long.max() <= 0.5 + 1e-6
    assert (long < 0.25).double().mean().item() == pytest.approx(0.25, abs=0.04)  # of two values


def test_how_far_images_can_be_apart():
    assert NORMS["linf"].largest(100) == 1
    assert NORMS["l2"].largest(100) == 10
