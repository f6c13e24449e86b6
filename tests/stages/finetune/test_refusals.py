"""What fine-tuning refuses, and what it says then."""

from dataclasses import replace

import pytest
import torch

import medshot
import toys
from medshot.core.errors import ConfigError, DataError, TaskError
from medshot.learners.registry import build
from medshot.tasks import Classification

TASK = Classification(3)


def _adapted():
    episode = toys.episode(TASK)
    learner = build("nearest-centroid", encoder=toys.Projection())
    return learner.adapt(episode.support, TASK), episode


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"what": "lorra"}, ConfigError, "Did you mean 'lora'"),
        ({"task": None}, TaskError, "give a task"),
        ({"steps": -1}, ConfigError, "steps=-1"),
        ({"lr": 0.0}, ConfigError, "lr=0.0"),
        ({"lr": float("nan")}, ConfigError, "lr=nan"),
        ({"pull": -0.1}, ConfigError, "pull=-0.1"),
    ],
)
def test_what_cannot_be_is_refused(given, error, told):
    predictor, episode = _adapted()
    with pytest.raises(error, match=told):
        medshot.finetune(predictor, episode.support, **{"task": TASK, **given})


def test_a_support_that_cannot_teach_is_refused():
    predictor, episode = _adapted()
    one, without = episode.support[:1], toys.without(episode.support, 1)
    for support in (one, without):
        with pytest.raises(DataError, match="no image in the support"):
            medshot.finetune(predictor, support, task=TASK)
    broken = replace(episode.support, x=episode.support.x * torch.nan)
    with pytest.raises(DataError, match="not finite"):
        medshot.finetune(predictor, broken, task=TASK)


def test_other_labels_are_refused_with_both_lists():
    dataset = toys.dataset()
    predictor = build("lda", encoder=toys.conv4()).adapt(dataset)
    other = replace(dataset, labels=("a", "b", "c"))
    with pytest.raises(DataError, match=r"a, b, c.*class 0, class 1"):
        medshot.finetune(predictor, other)


def test_an_answer_without_a_slope_is_refused():
    pytest.importorskip("skimage")
    task = toys.task_of("enhancement")
    episode = toys.episode(task)
    predictor = build("non-local-means", encoder=toys.encoder(task)).adapt(episode.support, task)
    with pytest.raises(ConfigError, match="not differentiable"):
        medshot.finetune(predictor, episode.support, task=task)
