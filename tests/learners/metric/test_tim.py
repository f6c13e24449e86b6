"""What is transductive is labelled so wherever it is listed or measured, and is not saved."""

import torch

import toys
from medshot.api.episodes import EpisodeEvaluation
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.episodes import evaluate
from medshot.learners import build
from medshot.tasks import Classification


def test_without_steps_it_is_the_nearest_centroid():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    still = build("tim", encoder=encoder, steps=0, sharpness=20.0)
    nearest = build("nearest-centroid", encoder=encoder, scale=10.0)
    found, expected = (each.adapt(ep.support, ep.task)(ep.query.x) for each in (still, nearest))
    torch.testing.assert_close(found, expected)


def test_a_result_of_it_is_labelled_transductive():
    sampler = EpisodeSampler(toys.dataset(), way=3, shot=1, query=2)
    encoder = toys.conv4()
    results = {
        name: evaluate(build(name, encoder=encoder), sampler, episodes=2, name=name)
        for name in ("tim", "nearest-centroid")
    }
    assert {name: r.transductive for name, r in results.items()} == {
        "tim": True,
        "nearest-centroid": False,
    }
    assert results["tim"].to_json()["transductive"]
    found = EpisodeEvaluation("toy", results, build("tim", encoder=encoder))
    assert [row[0] for row in found.table().rows] == ["tim (transductive)", "nearest-centroid"]
