"""What holds for every corruption."""

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.stages.robustness.corruption import CORRUPTIONS, SEVERITIES, corrupted

each = pytest.mark.parametrize("kind", CORRUPTIONS)


def _images(channels: int = 3) -> torch.Tensor:
    """Smooth, in the middle of the range."""
    small = torch.rand(4, channels, 6, 6, generator=torch.Generator().manual_seed(0))
    return 0.2 + 0.6 * torch.nn.functional.interpolate(small, (24, 24), mode="bilinear")


@each
@pytest.mark.parametrize("channels", [1, 3])
def test_it_changes_images_in_range_the_more_the_severer(kind, channels):
    x = _images(channels)
    found = [corrupted(x, kind, s) for s in SEVERITIES]
    assert all(f.shape == x.shape and f.dtype == x.dtype for f in found)
    assert all(f.min() >= 0 and f.max() <= 1 for f in found)
    change = [(f - x).abs().mean() for f in found]
    assert 0 < change[0] < change[-1]


@each
def test_the_seed_decides_it(kind):
    x = _images()
    assert torch.equal(corrupted(x, kind, 3), corrupted(x, kind, 3))


def test_another_seed_is_other_noise():
    x = _images()
    assert not torch.equal(corrupted(x, "impulses", 3), corrupted(x, "impulses", 3, seed=1))


def test_unknown_kinds_and_severities_are_refused():
    with pytest.raises(ConfigError, match="Did you mean 'speckle'"):
        corrupted(_images(), "spekle", 1)
    with pytest.raises(ConfigError, match="1, 2, 3, 4 or 5, not 6"):
        corrupted(_images(), "jpeg", 6)
