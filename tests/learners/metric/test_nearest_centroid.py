"""The nearest centroid against a loop over queries and classes."""

import torch

import toys
from medshot.learners import build
from medshot.tasks import Classification


def test_scores_are_minus_scaled_squared_distances_to_means_of_unit_features():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    predictor = build("nearest-centroid", encoder=encoder, scale=7.0).adapt(ep.support, ep.task)
    scores = predictor(ep.query.x)
    unit = {e: z / z.norm(dim=1, keepdim=True) for e, z in _features(encoder, ep).items()}
    for i, z in enumerate(unit["query"]):
        for c in range(3):
            centre = unit["support"][ep.support.y == c].mean(0)
            torch.testing.assert_close(scores[i, c], -7.0 * ((z - centre) ** 2).sum())


def test_scale_sharpens_and_changes_no_decision():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    soft, sharp = (
        build("nearest-centroid", encoder=encoder, scale=s).adapt(ep.support, ep.task)(ep.query.x)
        for s in (1.0, 30.0)
    )
    assert torch.equal(soft.argmax(1), sharp.argmax(1))
    assert (sharp.softmax(1).amax(1) > soft.softmax(1).amax(1)).all()


def _features(encoder, ep):
    return {"support": encoder(ep.support.x), "query": encoder(ep.query.x)}
