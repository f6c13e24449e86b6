"""Fine-tuning learns what the head alone cannot, says what it did, and goes on after a kill."""

from contextlib import contextmanager

import pytest
import torch

import medshot
import toys
from medshot.core.errors import ConfigError
from medshot.learners.registry import build
from medshot.stages.finetune.methods import LoRA
from medshot.tasks import Classification

TASK = Classification(3)


def _adapted(name: str = "nearest-centroid", shots: int = 5):
    episode = toys.episode(TASK, shots=shots, queries=40)
    learner = build(name, encoder=toys.Projection())
    return learner, learner.adapt(episode.support, TASK), episode


@pytest.mark.parametrize("way", ["lora", "all"])
def test_with_more_images_it_does_better_than_its_start(way):
    learner, predictor, episode = _adapted(shots=20)
    more = {"task": TASK, "lr": 0.003, "steps": 60, "learner": learner}
    after = medshot.finetune(predictor, episode.support, way, **more)
    before, found = (toys.accuracy(p, episode.query) for p in (predictor, after))
    assert 1 / 3 < before < found - 0.05 < 0.95


def test_a_way_can_be_given_with_its_options():
    _, predictor, episode = _adapted()
    few, many = (
        medshot.finetune(predictor, episode.support, LoRA(rank=rank), task=TASK, steps=5)
        for rank in (1, 8)
    )
    assert not torch.equal(few(episode.query.x), many(episode.query.x))


def test_the_card_says_what_was_done_and_stages_chain():
    dataset = toys.dataset()
    learner = build("prototypical", encoder=toys.conv4())
    predictor = learner.adapt(dataset)
    once = medshot.finetune(predictor, dataset, "film", steps=4, unseen=True)
    twice = medshot.finetune(once, dataset, "head", steps=2)
    assert predictor.known_card().stages == ()
    film, head = twice.known_card().stages
    assert (film["stage"], film["what"], film["parameters"]) == ("finetune", "film", 64 + 24 + 1)
    assert film["steps chosen by"] == "images left out"
    assert film["steps"] in (0, 1, 2, 3, 4)
    assert (head["what"], head["steps"], head["steps chosen by"]) == ("head", 2, "whoever asked")
    assert twice.known_card().learner == predictor.known_card().learner


def test_one_image_a_class_is_fine_tuned_for_the_steps_that_are_asked_for():
    learner, predictor, episode = _adapted(shots=1)
    predictor = predictor.freeze().with_card(toys.card(3))
    after = medshot.finetune(predictor, episode.support, steps=3, learner=learner)
    assert after.known_card().stages[-1]["steps"] == 3
    assert after.known_card().stages[-1]["steps chosen by"] == "whoever asked"


def test_killed_and_gone_on_it_ends_with_the_same_bits(tmp_path):
    learner, predictor, episode = _adapted()
    told = {"task": TASK, "steps": 10, "learner": learner}
    ticks = iter(range(100))

    @contextmanager
    def dies(steps, done):
        def tick(step, row):
            if next(ticks) == 15:  # in the second fold
                raise KeyboardInterrupt

        yield tick

    def again(**more):
        return medshot.finetune(predictor, episode.support, "lora", **told, **more)

    with pytest.raises(KeyboardInterrupt):
        again(folder=tmp_path, watch=dies)
    assert (tmp_path / "fold_1").is_dir()
    assert torch.equal(again(folder=tmp_path)(episode.query.x), again()(episode.query.x))
    with pytest.raises(ConfigError, match="another pull"):
        again(folder=tmp_path, pull=5.0)
