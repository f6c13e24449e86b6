"""Non-local means is as strong as the support asks for."""

import pytest
import torch

from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.learners import build
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
