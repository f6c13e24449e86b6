"""Encoding each image once gives the scores of encoding it in every episode."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import toys
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation import run
from medshot.evaluation.encoded import can_be_encoded, encode, encoded, without_encoder
from medshot.learners.registry import build
from medshot.tasks.classification import METRICS

FIXED = ("prototypical", "linear-probe", "lda", "nearest-centroid")


@pytest.fixture
def sampler() -> EpisodeSampler:
    groups = torch.arange(24) // 3 % 4
    dataset = replace(toys.dataset(2, 12), groups=torch.cat([groups[::2], 4 + groups[1::2]]))
    dataset = replace(dataset, y=torch.arange(2).repeat_interleave(12))
    return EpisodeSampler(dataset, way=2, shot=3, query=2)


@pytest.mark.parametrize("name", FIXED)
def test_the_scores_are_the_same(
    name: str, sampler: EpisodeSampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = build(name, encoder=toys.conv4())
    assert can_be_encoded(learner, sampler)
    once = run.evaluate(learner, sampler, episodes=8)
    monkeypatch.setattr(run, "can_be_encoded", lambda *_: False)
    every = run.evaluate(learner, sampler, episodes=8)
    for metric in METRICS:
        assert np.allclose(once.scores[metric], every.scores[metric], atol=1e-6)
    assert once.episodes == every.episodes


@pytest.mark.parametrize("name", FIXED)
def test_the_answers_are_the_same(name: str, sampler: EpisodeSampler) -> None:
    learner = build(name, encoder=toys.conv4())
    headless, episodes = encoded(learner, sampler)
    for i in range(3):
        images, features = sampler.episode(i), episodes.episode(i)
        assert features.support.groups is not None
        assert images.support.groups is not None
        assert torch.equal(images.support.groups, features.support.groups)
        whole = learner.learn(images.support, images.task)(images.query.x)
        short = headless.learn(features.support, features.task)(features.query.x)
        assert torch.allclose(whole, short, atol=1e-4, rtol=1e-5)


def test_the_learner_keeps_its_encoder() -> None:
    learner = build("prototypical", encoder=toys.conv4())
    bare = without_encoder(learner)
    assert sum(p.numel() for p in bare.parameters()) == 0
    assert sum(p.numel() for p in learner.parameters()) > 0


def test_many_images_are_encoded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, encoder = toys.dataset(2, 5), toys.conv4()
    whole = encode(encoder, dataset)
    monkeypatch.setattr("medshot.evaluation.encoded.AT_ONCE", 3)
    assert torch.allclose(encode(encoder, dataset), whole, atol=1e-5)
    assert whole.dtype == torch.float32


def test_what_changes_with_the_episode_is_not_encoded_once(sampler: EpisodeSampler) -> None:
    assert not can_be_encoded(build("maml", encoder=toys.conv4()), sampler)
    assert not can_be_encoded(build("finetune", encoder=toys.conv4()), sampler)
    transductive = build("prototypical", encoder=toys.conv4(norm="transductive"))
    assert not can_be_encoded(transductive, sampler)
    turned = EpisodeSampler(sampler.dataset, way=2, shot=2, query=2, rotate=True)
    learner = build("prototypical", encoder=toys.conv4())
    assert not can_be_encoded(learner, turned)
    assert not can_be_encoded(learner, object())
