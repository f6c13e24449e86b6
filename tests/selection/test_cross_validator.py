"""Folds by patient, features once, and evidence in the order in which it was found."""

import numpy as np
import pytest
import torch

from medshot.core.errors import TaskError, TrainingError
from medshot.core.predictor import Predictor
from medshot.evaluation.cross_validation import cross_validate
from medshot.learners.registry import build
from medshot.selection import cross_validator as module
from medshot.selection.cross_validator import CrossValidator, bench_of, joined
from medshot.tasks import Regression
from toys import conv4, dataset
from toys.candidates import TASK, Guess, bench, pixels, some_images


def test_it_finds_what_cross_validation_finds():
    images = dataset(2, 10)
    learner = build("nearest-centroid", encoder=conv4())
    tried = bench_of(images)
    scores = tried.scores(list(tried.fold_by_fold(learner)))
    odds, y = [], []
    for rest, held in tried.folds:
        predictor = learner.adapt(images.examples(rest), images.task)
        odds.append(predictor(images.examples(held).x).detach().double().softmax(1).numpy())
        y.append(images.y[held].numpy())
    slow = np.concatenate(odds), np.concatenate(y)
    assert scores == pytest.approx({m: f(*slow) for m, f in images.task.metrics.items()})
    found = cross_validate(learner, images)
    assert sorted(tried.groups.tolist()) == sorted(found.groups.tolist())


def test_rows_lie_as_the_groups_and_the_strata_do():
    tried = bench()
    _, y = joined(list(tried.fold_by_fold(build("lda", encoder=pixels()))))
    assert y.tolist() == tried.strata.tolist()
    assert len(tried.groups) == 20


def test_images_are_encoded_once_an_encoder(monkeypatch: pytest.MonkeyPatch):
    seen = []
    encoder = pixels()
    real = type(encoder).forward
    monkeypatch.setattr(
        type(encoder), "forward", lambda self, x: seen.append(len(x)) or real(self, x)
    )
    tried = bench()
    for name in ("lda", "nearest-centroid"):
        list(tried.fold_by_fold(build(name, encoder=encoder)))
    assert sum(seen) == 20
    monkeypatch.setattr(module, "KEPT", 1)  # no room: the older ones go
    list(tried.fold_by_fold(build("lda", encoder=pixels())))
    assert len(tried.features._known) == 1


def test_one_patient_a_class_leaves_nothing_out():
    examples = some_images(groups=torch.arange(2).repeat(10))
    tried = CrossValidator(lambda encoder: examples.x, examples.y, examples.groups, TASK)
    assert tried.folds == []


def test_a_learner_of_other_tasks_is_refused():
    images = some_images()
    tried = CrossValidator(lambda encoder: images.x, torch.rand(20, 1), None, Regression(1))
    with pytest.raises(TaskError, match="does classification"):
        next(tried.fold_by_fold(Guess(pixels())))


def test_answers_that_are_no_numbers_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        Predictor, "predict_batches", lambda self, x: torch.full((len(x), 2), torch.nan)
    )
    with pytest.raises(TrainingError, match="NaN"):
        next(bench().fold_by_fold(Guess(pixels())))
