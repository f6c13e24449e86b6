"""Non-local means is as strong as the support asks for."""

import sys

import pytest
import torch

from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.learners.baselines.non_local_means import Smoothing
from medshot.nn.encoders.identity import AsIs
from medshot.tasks import Enhancement

pytest.importorskip("skimage")


def learned(deviation):
    torch.manual_seed(0)
    wanted = torch.rand(2, 1, 4, 4).repeat_interleave(6, 2).repeat_interleave(6, 3)
    x = wanted + deviation * torch.randn(wanted.shape)
    learner = build("non-local-means", encoder=AsIs(channels=1), strengths=(0.0, 0.05, 0.2))
    return learner.adapt(Examples(x, wanted), Enhancement(1))


def test_more_noise_asks_for_more():
    assert [float(learned(d).strength) for d in (0.0, 0.05, 0.2)] == pytest.approx([0.0, 0.05, 0.2])


def test_strengths_below_0_are_refused():
    with pytest.raises(ConfigError, match="strengths="):
        build("non-local-means", encoder=AsIs(), strengths=(-1.0,))


# Non-local means as a predictor.


def smoothing(strength, k=1):
    return Smoothing(torch.nn.Identity(), torch.tensor(strength), k, patch=3, reach=2)


def test_noise_goes_and_an_edge_stays():
    torch.manual_seed(0)
    flat = (torch.arange(16) >= 8).double().expand(16, 16)
    x = flat + 0.05 * torch.randn(16, 16, dtype=torch.float64)
    found = smoothing(0.1)(x[None, None])[0, 0]
    assert (found - flat).abs().mean() < 0.6 * (x - flat).abs().mean()
    assert (found[:, 7] - found[:, 8]).abs().min() > 0.8  # no mean is taken across the edge


def test_grey_in_three_channels_is_what_grey_is_in_one():
    x = torch.rand(2, 1, 12, 12)
    one, three = smoothing(0.2)(x), smoothing(0.2, 3)(x.expand(-1, 3, -1, -1))
    torch.testing.assert_close(three, one.expand(-1, 3, -1, -1))


def test_colour_is_smoothed_by_all_its_channels():
    x = torch.rand(1, 3, 12, 12)
    found = smoothing(0.5, 3)(x)
    assert found.shape == x.shape
    assert found.var() < x.var()


def test_strength_0_changes_nothing():
    x = torch.rand(1, 1, 8, 8)
    assert torch.equal(smoothing(0.0)(x), x)


def test_without_the_library_it_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ConfigError, match=r"medshot\[enhancement\]"):
        smoothing(0.1)(torch.rand(1, 1, 8, 8))
