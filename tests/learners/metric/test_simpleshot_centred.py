"""Directions from a centre."""

import torch

import toys
from medshot.learners.metric.simpleshot import CenteredPrototypes, directions


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
