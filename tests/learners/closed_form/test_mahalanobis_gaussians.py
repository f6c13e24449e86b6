"""Gaussian scores against precisions written out."""

import torch

import toys
from medshot.learners.closed_form.mahalanobis import Gaussians, mahalanobis


def _parts() -> tuple[torch.Tensor, ...]:
    return torch.randn(3, 5), 1 + torch.rand(3, 5), 0.2 * torch.randn(3, 4, 5)


def test_distances_are_by_the_precision_written_out():
    z, (means, precisions, factors) = torch.randn(7, 5), _parts()
    found = mahalanobis(z, means, precisions, factors)
    for i in range(7):
        for c in range(3):
            apart = z[i] - means[c]
            precision = torch.diag(precisions[c]) - factors[c].T @ factors[c]
            torch.testing.assert_close(found[i, c], apart @ precision @ apart)


def test_scores_are_minus_half_of_them_and_not_in_half_precision():
    encoder, parts, x = toys.Projection(outputs=5), _parts(), toys.images()
    predictor, z = Gaussians(encoder, *parts), encoder(x)
    torch.testing.assert_close(predictor(x), -0.5 * mahalanobis(z, *parts))
    with torch.autocast("cpu", torch.bfloat16):
        found = Gaussians(torch.nn.Identity(), *parts)(z)
    torch.testing.assert_close(found, -0.5 * mahalanobis(z, *parts), rtol=0, atol=0)


def test_what_was_adapted_is_in_the_state_and_is_no_parameter():
    predictor = Gaussians(toys.conv4(), *_parts())
    assert {"means", "precisions", "factors"} <= set(predictor.state_dict())
    assert all(name.startswith("encoder.") for name, _ in predictor.named_parameters())
