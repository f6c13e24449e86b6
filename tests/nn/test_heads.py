"""Linear maps and prototypes against loops."""

import pytest
import torch
from torch.nn.functional import one_hot

import toys
from medshot.nn.heads import (
    Linear,
    Prototypes,
    class_means,
    distances,
    squared_distances,
    zero_head,
)


def test_squared_distances_are_sums_of_squared_differences():
    z, centres = torch.randn(7, 5), torch.randn(3, 5)
    slow = ((z[:, None] - centres) ** 2).sum(2)
    torch.testing.assert_close(squared_distances(z, centres), slow, atol=1e-5, rtol=1e-5)


def test_the_root_of_a_distance_is_the_norm_of_the_difference():
    z, centres = torch.randn(7, 5), torch.randn(3, 5)
    slow = (z[:, None] - centres).norm(dim=2)
    torch.testing.assert_close(distances(z, centres, root=True), slow, atol=1e-5, rtol=1e-5)


def test_squared_distances_have_the_gradient_of_the_slow_formula():
    z, centres = (torch.randn(n, 5, dtype=torch.float64, requires_grad=True) for n in (4, 3))
    assert torch.autograd.gradcheck(squared_distances, (z, centres))


def test_class_means_are_means_also_of_unequal_classes():
    z, y = torch.randn(6, 5), torch.tensor([2, 0, 1, 0, 0, 2])
    means = class_means(z, one_hot(y, 3).float())
    for c in range(3):
        torch.testing.assert_close(means[c], z[y == c].mean(0))


@pytest.mark.parametrize("unit", [False, True])
def test_a_linear_head_is_its_formula(unit):
    encoder, weight, bias = toys.Projection(outputs=5), torch.randn(5, 3), torch.randn(3)
    x = toys.images()
    z = encoder(x)
    z = z / z.norm(dim=1, keepdim=True) if unit else z
    torch.testing.assert_close(Linear(encoder, weight, bias, unit)(x), z @ weight + bias)


@pytest.mark.parametrize("unit", [False, True])
def test_prototypes_score_minus_scaled_distances(unit):
    encoder, centres = toys.Projection(outputs=5), torch.randn(3, 5)
    x = toys.images()
    z = encoder(x)
    z = z / z.norm(dim=1, keepdim=True) if unit else z
    slow = -2.5 * ((z[:, None] - centres) ** 2).sum(2)
    scores = Prototypes(encoder, centres, torch.tensor(2.5), unit)(x)
    torch.testing.assert_close(scores, slow, atol=1e-4, rtol=1e-5)


def test_what_was_adapted_is_in_the_state_and_is_no_parameter():
    head = Linear(toys.conv4(), torch.randn(8, 3), torch.randn(3))
    assert {"weight", "bias"} <= set(head.state_dict())
    assert all(name.startswith("encoder.") for name, _ in head.named_parameters())


def test_distances_between_large_numbers_are_not_taken_in_half_precision():
    with torch.autocast("cpu", torch.bfloat16):
        far = torch.full((1, 4), 100.0)
        near = squared_distances(far, far + 0.125)
    assert near.item() == pytest.approx(4 * 0.125**2, abs=0.01)


def test_a_zero_head_is_zero_and_of_the_type_asked_for():
    weight, bias = zero_head(4, 3, like=torch.zeros((), dtype=torch.float64))
    assert (weight.shape, bias.shape, weight.dtype) == ((4, 3), (3,), torch.float64)
    assert not weight.any()
    assert not bias.any()
