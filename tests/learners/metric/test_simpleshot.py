"""Centring, normalising and averaging, in loops."""

import pytest
import torch

import toys
from medshot.core.errors import ShapeError
from medshot.learners import build
from medshot.learners.metric.simpleshot import CenteredPrototypes, directions
from medshot.tasks import Classification


def _unit(z):
    return z / z.norm()


@pytest.mark.parametrize("given", [True, False], ids=["centre given", "the support's"])
def test_scores_are_minus_scaled_distances_between_centred_directions(given):
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    kept = torch.arange(len(ep.support)) != 1  # unequal classes: the centre is no mean of images
    support = ep.support[kept]
    z, y = encoder(support.x), support.y
    centre = torch.randn(32) if given else sum(z[y == c].mean(0) for c in range(3)) / 3
    options = {"centre": centre.tolist()} if given else {}
    learner = build("simpleshot", encoder=encoder, scale=7.0, **options)
    scores = learner.adapt(support, ep.task)(ep.query.x)
    for i, query in enumerate(encoder(ep.query.x)):
        for c in range(3):
            prototype = sum(_unit(each - centre) for each in z[y == c]) / (y == c).sum()
            slow = -7.0 * ((_unit(query - centre) - prototype) ** 2).sum()
            torch.testing.assert_close(scores[i, c], slow, atol=1e-4, rtol=1e-4)


def test_centred_at_nought_it_is_the_nearest_centroid():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    ours = build("simpleshot", encoder=encoder, centre=[0.0] * 32)
    nearest = build("nearest-centroid", encoder=encoder)
    found, expected = (each.adapt(ep.support, ep.task)(ep.query.x) for each in (ours, nearest))
    torch.testing.assert_close(found, expected)


def test_two_images_lie_in_opposite_directions_of_their_centre():
    ep = toys.episode(Classification(2), shots=1)
    predictor = build("simpleshot", encoder=toys.Projection()).adapt(ep.support, ep.task)
    torch.testing.assert_close(predictor.prototypes[0], -predictor.prototypes[1])


def test_a_centre_of_other_features_is_refused():
    ep = toys.episode(Classification(2))
    with pytest.raises(ShapeError, match=r"3 numbers, .* 32 features"):
        build("simpleshot", encoder=toys.Projection(), centre=[0.0] * 3).adapt(ep.support, ep.task)


# Directions from a centre.


def test_directions_are_differences_over_their_lengths():
    z, centre = torch.randn(6, 5), torch.randn(5)
    for found, row in zip(directions(z, centre), z, strict=True):
        torch.testing.assert_close(found, (row - centre) / (row - centre).norm())


def test_at_the_centre_there_is_no_direction():
    centre = torch.randn(5)
    assert not directions(centre[None], centre).any()


def test_scores_are_minus_scaled_squared_distances():
    encoder, centre, prototypes = toys.Projection(outputs=5), torch.randn(5), torch.randn(3, 5)
    x = toys.images()
    slow = ((directions(encoder(x), centre)[:, None] - prototypes) ** 2).sum(2)
    scores = CenteredPrototypes(encoder, centre, prototypes, torch.tensor(2.5))(x)
    torch.testing.assert_close(scores, -2.5 * slow, atol=1e-5, rtol=1e-4)
