"""The in-context learner: what it adds to what, what it keeps, what it refuses."""

import pytest
import torch
from torch.nn.functional import one_hot

import toys
from medshot.core.errors import ConfigError, TaskError
from medshot.learners import build
from medshot.learners.amortized.in_context import SetTransformer
from medshot.tasks import Classification


@pytest.mark.parametrize("residual", [False, True])
def test_scores_are_the_readers_and_with_residual_also_those_of_prototypes(residual):
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    learner = build("in-context", encoder=encoder, residual=residual)
    predictor = learner.adapt(ep.support, ep.task)
    z, zq = encoder(ep.support.x), encoder(ep.query.x)
    read = learner.reader.answer(zq, predictor.memory)[:, :3]
    for i, scores in enumerate(predictor(ep.query.x)):
        far = [((zq[i] - z[ep.support.y == c].mean(0)) ** 2).sum() for c in range(3)]
        slow = read[i] - torch.stack(far) / 32**0.5 * residual
        torch.testing.assert_close(scores.softmax(0), slow.softmax(0), atol=1e-5, rtol=1e-4)


def test_the_support_is_read_once(monkeypatch):
    ep, learner = toys.episode(Classification(3)), build("in-context", encoder=toys.Projection())
    predictor = learner.adapt(ep.support, ep.task)
    expected = predictor(ep.query.x)
    monkeypatch.setattr(SetTransformer, "remember", lambda *_: pytest.fail("read again"))
    torch.testing.assert_close(predictor(ep.query.x), expected)


def test_a_label_says_something_to_the_reader():
    ep = toys.episode(Classification(3))
    learner = build("in-context", encoder=toys.Projection(), residual=False)
    z = learner.encoder(ep.support.x)
    memories = [
        learner.reader.remember(z, one_hot((ep.support.y + turn) % 3, 3).float())
        for turn in range(2)
    ]
    assert (memories[0] - memories[1]).abs().max() > 0.01


def test_as_many_classes_as_codes_and_not_one_more():
    learner = build("in-context", encoder=toys.Projection(), way=5)
    ep = toys.episode(Classification(5), shots=1)
    assert learner.adapt(ep.support, ep.task)(ep.query.x).shape == (25, 5)
    more = toys.episode(Classification(6), shots=1)
    with pytest.raises(TaskError, match=r"codes for 5 classes.*task has 6.*way=6"):
        learner.adapt(more.support, more.task)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"width": 10}, "width=10 must be a multiple of heads=4"),
        ({"heads": 0}, "heads=0"),
        ({"layers": 0}, "layers=0"),
        ({"way": 1}, "way is 1"),
    ],
)
def test_sizes_that_cannot_be_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        build("in-context", encoder=toys.Projection(), **options)


def test_meta_loss_is_the_loss_of_adapting_and_predicting():
    ep, learner = toys.episode(Classification(3)), build("in-context", encoder=toys.conv4())
    adapted = ep.task.loss(learner.adapt(ep.support, ep.task)(ep.query.x), ep.query.y)
    torch.testing.assert_close(learner.meta_loss(ep), adapted)


def test_reading_and_answering_are_not_in_half_precision():
    ep, learner = toys.episode(Classification(3)), build("in-context", encoder=toys.Projection())
    exact = learner.meta_loss(ep)
    with torch.autocast("cpu", torch.bfloat16):
        predictor = learner.adapt(ep.support, ep.task)
        assert {predictor.memory.dtype, predictor(ep.query.x).dtype} == {torch.float32}
        loss = learner.meta_loss(ep)
    torch.testing.assert_close(loss, exact, atol=0.1, rtol=0.1)
