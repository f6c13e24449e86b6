""""""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import medshot
import toys
from medshot.core.errors import LeakError, TaskError
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation import episodes
from medshot.evaluation import episodes as module
from medshot.evaluation.episodes import (
    EpisodeScores,
    can_be_encoded,
    encode,
    encoded,
    evaluate,
    refuse_seen,
    without_encoder,
)
from medshot.evaluation.statistics import paired
from medshot.learners.registry import build
from medshot.nn.encoder import Encoder
from medshot.tasks.classification import METRICS
from toys.training import SIZE, Dropping, blobs, conv4

LEARNERS = ("prototypical", "nearest-centroid", "linear-probe", "lda")


def _sampler(**other: Any) -> EpisodeSampler:
    return EpisodeSampler(blobs(), **{"way": 4, "shot": 2, "query": 3, "seed": 5} | other)


@pytest.mark.parametrize("name", LEARNERS)
def test_encoding_once_changes_no_score(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = medshot.build(name, encoder=conv4(norm="batch"))
    once = evaluate(learner, _sampler(), episodes=20)
    monkeypatch.setattr(module, "can_be_encoded", lambda *_: False)
    anew = evaluate(learner, _sampler(), episodes=20)
    assert once.scores.keys() == anew.scores.keys()
    for metric, scores in once.scores.items():
        assert np.array_equal(scores, anew.scores[metric]), metric
    assert once.episodes == anew.episodes
    assert once.interval("accuracy").low > 0.25
    assert once.interval("accuracy").high < 1


class Counting(Encoder):
    """Its features are the pixels, and it counts the images that it has seen."""

    def __init__(self) -> None:
        super().__init__(1, SIZE, "unit")
        self.n_features, self.encoded = SIZE * SIZE, 0

    def forward(self, x: Tensor) -> Tensor:
        self.encoded += len(x)
        return x.flatten(1)


def test_each_image_is_encoded_once() -> None:
    learner = medshot.build("prototypical", encoder=Counting())
    data = blobs()
    evaluate(learner, EpisodeSampler(data, way=4, shot=2, query=3), episodes=30)
    assert learner.encoder.encoded == len(data)


def test_classes_that_are_turned_are_encoded_in_every_episode() -> None:
    learner = medshot.build("prototypical", encoder=Counting())
    evaluate(learner, _sampler(rotate=True), episodes=3)
    assert learner.encoder.encoded == 3 * 4 * 5


def test_scores_are_those_of_adapting_by_hand() -> None:
    learner = medshot.build("maml", encoder=conv4(), steps=2)
    found = evaluate(learner, _sampler(), episodes=3)
    for i in range(3):
        episode = _sampler().episode(i)
        output = learner.adapt(episode.support, episode.task).freeze()(episode.query.x)
        right = (output.argmax(1) == episode.query.y).double().mean().item()
        assert found.scores["accuracy"][i] == pytest.approx(right)


def test_transductive_is_said() -> None:
    for norm in ("transductive", "group"):
        learner = medshot.build("prototypical", encoder=conv4(norm=norm))
        result = evaluate(learner, _sampler(), episodes=2)
        assert result.transductive == (norm == "transductive")
        assert result.to_json()["transductive"] == (norm == "transductive")


def test_two_learners_have_the_same_episodes_and_can_be_paired() -> None:
    sampler = _sampler()
    first, second = (
        evaluate(medshot.build(name, encoder=conv4()), sampler, episodes=20)
        for name in ("nearest-centroid", "maml")
    )
    assert first.episodes == second.episodes
    other = evaluate(medshot.build("lda", encoder=conv4()), _sampler(seed=6), episodes=20)
    assert other.episodes["fingerprint"] != first.episodes["fingerprint"]
    assert paired(first.scores["accuracy"], second.scores["accuracy"]).n == 20


@pytest.mark.parametrize("name", ["prototypical", "maml", "finetune"])
@pytest.mark.parametrize("training", [True, False])
def test_the_learner_is_left_as_it_was(name: str, training: bool) -> None:
    learner = medshot.build(name, encoder=conv4(norm="batch")).train(training)
    learner.encoder.blocks[0].eval()  # frozen, say
    flags = [part.training for part in learner.modules()]
    before = {n: t.clone() for n, t in learner.state_dict().items()}
    evaluate(learner, _sampler(), episodes=2)
    assert [part.training for part in learner.modules()] == flags
    assert all(p.requires_grad and p.grad is None for p in learner.parameters())
    for key, tensor in learner.state_dict().items():
        assert torch.equal(tensor, before[key]), key


def test_also_when_it_is_broken_off() -> None:
    learner = medshot.build("maml", encoder=conv4(), way=3).train()
    with pytest.raises(TaskError, match=r"3 classes.*task has 4"):
        evaluate(learner, _sampler(), episodes=2)
    assert all(part.training for part in learner.modules())


def test_nothing_is_dropped_while_it_is_judged() -> None:
    learner = medshot.build("nearest-centroid", encoder=Dropping()).train()
    first, second = (evaluate(learner, _sampler(), episodes=5) for _ in range(2))
    assert np.array_equal(first.scores["accuracy"], second.scores["accuracy"])


def test_images_come_in_the_form_of_the_encoder() -> None:
    encoder = medshot.encoder("conv4", channels=3, size=32, width=8)
    learner = medshot.build("nearest-centroid", encoder=encoder)
    found = evaluate(learner, _sampler(), episodes=20)
    assert 0.25 < found.interval("accuracy").mean < 1
    assert found.episodes["fingerprint"] == _sampler().fingerprint(20)


def test_data_that_was_seen_is_refused() -> None:
    data = blobs()
    others = (
        {"hash": "something else", "classes": data.labels},
        {"hash": data.hash, "classes": ["z"]},
    )
    refuse_seen(data, others)
    with pytest.raises(LeakError, match=r"on 1 class.* of blobs"):
        refuse_seen(data, [*others, {"hash": data.hash, "classes": [data.labels[0]]}])


def test_images_that_were_seen_in_another_folder_are_refused_and_counted() -> None:
    data = replace(blobs(), contents=tuple(f"{i:016x}" for i in range(len(blobs()))))
    part = {"hash": "another folder", "classes": ["z"], "images": ["f" * 16, *data.contents[3:5]]}
    with pytest.raises(
        LeakError, match=rf"2 of the {len(data)} images of blobs .*learned from before"
    ):
        refuse_seen(data, [part])
    refuse_seen(data.subset(torch.tensor([0, 1, 2])), [part])


def test_a_result_goes_through_json_and_holds_what_it_takes_to_repeat_it() -> None:
    result = evaluate(
        medshot.build("lda", encoder=conv4()), _sampler(), episodes=10, name="LDA on noise"
    )
    found = result.to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["learner"] == "LDA on noise"
    assert found["episodes"] == {
        "data": "blobs",
        "hash": blobs().hash,
        "way": 4,
        "shot": 2,
        "query": 3,
        "seed": 5,
        "rotate": False,
        "count": 10,
        "fingerprint": _sampler().fingerprint(10),
    }
    assert found["versions"].keys() == {"medshot", "torch", "python"}
    for metric in ("accuracy", "balanced accuracy", "macro AUROC"):
        interval = result.interval(metric)
        assert found["metrics"][metric] == vars(interval)
        assert interval.low < interval.mean < interval.high


def test_an_interval_that_is_not_defined_is_null_in_json() -> None:
    result = EpisodeScores("x", {"accuracy": np.array([0.5])}, {}, False)
    metrics = json.loads(json.dumps(result.to_json(), allow_nan=False))["metrics"]
    assert metrics["accuracy"] == {"mean": 0.5, "low": None, "high": None, "n": 1}


def test_the_tick_sees_every_episode() -> None:
    seen = []

    def tick(items: Any) -> Any:
        for i in items:
            seen.append(i)
            yield i

    evaluate(medshot.build("lda", encoder=conv4()), _sampler(), episodes=4, tick=tick)
    assert seen == [0, 1, 2, 3]


# Encoding each image once gives the scores of encoding it in every episode.


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
    once = episodes.evaluate(learner, sampler, episodes=8)
    monkeypatch.setattr(episodes, "can_be_encoded", lambda *_: False)
    every = episodes.evaluate(learner, sampler, episodes=8)
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
    monkeypatch.setattr("medshot.evaluation.episodes.AT_ONCE", 3)
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
