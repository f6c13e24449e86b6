"""The in-context learner: what it adds to what, what it keeps, what it refuses."""

import pytest
import torch
from torch.nn.functional import normalize, one_hot

import toys
from medshot.core.errors import ConfigError, TaskError
from medshot.learners import build
from medshot.learners.amortized.in_context import Layer, SetTransformer, simplex
from medshot.tasks import Classification


@pytest.mark.parametrize("residual", [False, True])
def test_scores_are_the_readers_and_with_residual_also_those_of_prototypes(residual):
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    learner = build("in-context", encoder=encoder, residual=residual)
    predictor = learner.adapt(ep.support, ep.task)
    z, zq = encoder(ep.support.x), encoder(ep.query.x)
    read = learner.reader.on_features(zq, predictor.memory)[:, :3]
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
    with pytest.raises(TaskError, match=r"5 classes.*6.*way=6"):
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


# The set transformer against loops over heads and tokens, and its codes.


@pytest.mark.parametrize("way", [2, 5, 20])
def test_codes_have_length_one_and_any_two_the_widest_angle(way):
    cosines = simplex(way) @ simplex(way).T
    slow = torch.full((way, way), -1 / (way - 1)).fill_diagonal_(1.0)
    torch.testing.assert_close(cosines, slow)


def test_a_layer_is_attention_of_each_head_and_two_maps():
    layer, x, others = Layer(width=6, heads=2), torch.randn(3, 6), torch.randn(4, 6)
    found = layer(x, layer.remember(others))
    for i in range(3):
        query = layer.queries(layer.before(x[i]))
        parts = []
        for head in (slice(0, 3), slice(3, 6)):
            keys = [layer.keys(layer.before(o))[head] for o in others]
            values = [layer.values(layer.before(o))[head] for o in others]
            weights = torch.stack([query[head] @ key / 3**0.5 for key in keys]).softmax(0)
            parts.append(sum(w * v for w, v in zip(weights, values, strict=True)))
        looked = x[i] + layer.mix(torch.cat(parts))
        torch.testing.assert_close(found[i], looked + layer.after(looked))


def test_an_answer_is_how_well_a_token_fits_each_code():
    net = SetTransformer(features=4, way=5, width=6, layers=2, heads=2)
    y, z, queries = torch.arange(6) % 3, normalize(torch.randn(6, 4)), normalize(torch.randn(2, 4))
    memory = net.remember(z, one_hot(y, 3).float())
    answers = net.on_features(queries, memory)
    assert memory.shape == (2, 2, 6, 6)

    codes = torch.stack([simplex(5)[c] for c in y]) * 5**0.5
    seen = net.image(z * 2) + net.label(codes)
    for i in range(2):
        token = net.image(queries[i] * 2) + net.label(net.unknown * 5**0.5)
        context = seen
        for layer in net.layers:
            token = layer(token[None], layer.remember(context))[0]
            context = layer(context, layer.remember(context))
        slow = torch.stack([net.read(token) @ simplex(5)[c] for c in range(5)])
        torch.testing.assert_close(answers[i], slow)
