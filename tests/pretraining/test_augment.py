"""Views: in place, in [0, 1], decided by the generator, and what the resampling should give."""

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.pretraining import augment


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("channels", [1, 3])
def test_views_are_images_of_the_same_form_and_follow_from_the_generator(channels: int) -> None:
    x = torch.rand(5, channels, 12, 12)
    first, again, other = (augment.random_view(x, _rng(seed), 1.0) for seed in (1, 1, 2))
    assert first.shape == x.shape
    assert torch.equal(first, first.clamp(0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.05)


def test_without_strength_nothing_changes() -> None:
    x = torch.rand(5, 3, 12, 12)
    assert torch.equal(augment.random_view(x, _rng(), 0.0), x)


def test_each_image_of_a_batch_is_changed_in_its_own_way() -> None:
    x = torch.rand(1, 1, 12, 12).expand(4, -1, -1, -1)
    seen = augment.random_view(x, _rng(), 1.0)
    assert all(not torch.allclose(seen[0], other, atol=0.05) for other in seen[1:])


def test_some_are_mirrored_and_some_are_not() -> None:
    x = torch.linspace(0, 1, 16).expand(40, 1, 16, 16)  # brighter to the right
    seen = augment.moved(x, _rng(), 0.3)
    rises = seen[:, 0, 8, 12] > seen[:, 0, 8, 4]
    assert 8 < rises.sum() < 32


def test_a_part_shows_less_of_the_image_than_the_whole() -> None:
    x = torch.linspace(0, 1, 32).expand(40, 1, 32, 32)
    across = [(v[0, 16, -1] - v[0, 16, 0]).abs() for v in augment.moved(x, _rng(), 1.0)]
    assert max(across) < 1
    assert min(across) > 0.3  # half of it at least, turned by no more than 30 degrees


def test_light_changes_what_is_seen_and_not_where() -> None:
    x = torch.zeros(20, 1, 16, 16)
    x[:, :, 4:8, 4:8] = 1
    seen = augment.color_jitter(x, _rng(), 1.0)
    inside, outside = seen[:, 0, 4:8, 4:8].mean((1, 2)), seen[:, 0, 10:, 10:].mean((1, 2))
    assert (inside > outside + 0.2).all()
    assert inside.std() > 0.01


@pytest.mark.parametrize("strength", [-0.1, 1.1])
def test_a_strength_that_is_none_is_refused(strength: float) -> None:
    with pytest.raises(ConfigError, match="from 0 to 1"):
        augment.check_strength(strength)
