"""SNAIL: the order in which it reads, what it adds to what, and what it refuses."""

import pytest
import torch
from torch.nn.functional import one_hot

import toys
from medshot.core.errors import ConfigError, DataError, TaskError
from medshot.learners import build
from medshot.tasks import Classification


def test_it_reads_class_by_class_and_inside_a_class_as_given():
    ep, learner = toys.episode(Classification(3)), _learner()
    predictor = learner.adapt(ep.support, ep.task)
    order = [i for c in range(3) for i in range(15) if ep.support.y[i] == c]
    z = learner.encoder(ep.support.x)[order]
    read = learner.reader.remember(z, one_hot(ep.support.y[order], 3).float())
    torch.testing.assert_close(predictor.memory, read)


def test_the_order_of_classes_does_not_matter_and_that_inside_a_class_does():
    ep, learner = toys.episode(Classification(3)), _learner(residual=False)
    answer = learner.adapt(ep.support, ep.task)(ep.query.x)
    sorted_by_class = ep.support[ep.support.y.argsort(stable=True)]
    same = learner.adapt(sorted_by_class, ep.task)(ep.query.x)
    torch.testing.assert_close(same, answer)
    backwards = learner.adapt(ep.support[torch.arange(14, -1, -1)], ep.task)(ep.query.x)
    assert (backwards - answer).abs().max() > 1e-4


@pytest.mark.parametrize("residual", [False, True])
def test_scores_are_the_readers_and_with_residual_also_those_of_prototypes(residual):
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    learner = build("snail", encoder=encoder, residual=residual)
    predictor = learner.adapt(ep.support, ep.task)
    z, zq = encoder(ep.support.x), encoder(ep.query.x)
    read = learner.reader.answer(zq, predictor.memory)[:, :3]
    for i, scores in enumerate(predictor(ep.query.x)):
        far = [((zq[i] - z[ep.support.y == c].mean(0)) ** 2).sum() for c in range(3)]
        slow = read[i] - torch.stack(far) / 32**0.5 * residual
        torch.testing.assert_close(scores.softmax(0), slow.softmax(0), atol=1e-5, rtol=1e-4)


def test_the_longest_sequence_and_one_longer():
    ep = toys.episode(Classification(3))
    assert _learner(length=16).adapt(ep.support, ep.task)(ep.query.x).isfinite().all()
    with pytest.raises(DataError, match=r"has 15 images.*at most 15 with the query.*length=16"):
        _learner(length=15).adapt(ep.support, ep.task)


def test_more_classes_than_codes_are_refused():
    ep = toys.episode(Classification(4))
    with pytest.raises(TaskError, match=r"snail has label codes for 3 classes.*has 4.*way=4"):
        _learner(way=3).adapt(ep.support, ep.task)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"length": 2}, "length=2"), ({"width": 0}, "width=0"), ({"way": 1}, "way")],
)
def test_sizes_too_small_for_any_task_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        _learner(**options)


def test_meta_loss_is_the_loss_of_adapting_and_predicting():
    ep, learner = toys.episode(Classification(3)), build("snail", encoder=toys.conv4())
    adapted = ep.task.loss(learner.adapt(ep.support, ep.task)(ep.query.x), ep.query.y)
    torch.testing.assert_close(learner.meta_loss(ep), adapted)


def _learner(**options):
    return build("snail", encoder=toys.Projection(), **options)
