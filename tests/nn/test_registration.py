"""Registration of volumes."""

import pytest
import torch

from medshot.nn.registration import descriptors, registered, warped
from medshot.nn.volume_maps import blur, place, standardized


def texture(seed: int, shape=(16, 20, 18)) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return standardized(blur(torch.randn(1, *shape, generator=rng), [2.0] * 3)[0])


@pytest.mark.parametrize("how", ["same", "shifted", "scaled", "bent"])
def test_what_was_moved_is_found(how):
    x = texture(0)
    grid = place(x)[:3].movedim(0, -1).flip(-1)  # x, y, z
    if how == "shifted":
        grid = grid + torch.tensor([0.15, -0.1, 0.1])
    elif how == "scaled":
        grid = grid * 0.9
    elif how == "bent":
        grid = grid + 0.12 * torch.sin(2 * grid.flip(-1))
    fixed = warped(x[None], grid)[0]
    found = registered(fixed, x)
    inside = (slice(3, -3),) * 3
    off = (found - grid)[inside].norm(dim=-1).mean()
    before = (place(x)[:3].movedim(0, -1).flip(-1) - grid)[inside].norm(dim=-1).mean()
    assert off < (0.35 * before if how != "same" else 0.02)


def test_volumes_of_two_shapes_and_of_one_slice():
    assert registered(texture(0), texture(1, (12, 20, 14))).shape == (16, 20, 18, 3)
    assert registered(texture(0, (1, 20, 18)), texture(1, (1, 20, 18))).isfinite().all()


def test_no_gradient_is_needed():
    with torch.no_grad():
        assert not registered(texture(0), texture(1)).requires_grad


def test_self_similarity_is_the_same_in_another_contrast():
    x = texture(0)
    alike, other = descriptors(x)[:-1], descriptors(-3 * x + 2)[:-1]
    torch.testing.assert_close(alike, other, atol=1e-3, rtol=1e-3)
    assert alike.std(0, correction=0).mean() > 0.1


def test_a_constant_volume_has_finite_descriptors():
    assert descriptors(torch.zeros(6, 7, 8)).isfinite().all()
