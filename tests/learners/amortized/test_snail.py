"""SNAIL: the order in which it reads, what it adds to what, and what it refuses."""

import pytest
import torch
from torch.nn.functional import normalize, one_hot

import toys
from medshot.core.errors import ConfigError, DataError, TaskError
from medshot.learners import build
from medshot.learners.amortized.snail import CausalAttention, Convolution, Snail
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
    read = learner.reader.on_features(zq, predictor.memory)[:, :3]
    for i, scores in enumerate(predictor(ep.query.x)):
        far = [((zq[i] - z[ep.support.y == c].mean(0)) ** 2).sum() for c in range(3)]
        slow = read[i] - torch.stack(far) / 32**0.5 * residual
        torch.testing.assert_close(scores.softmax(0), slow.softmax(0), atol=1e-5, rtol=1e-4)


def test_the_longest_sequence_and_one_longer():
    ep = toys.episode(Classification(3))
    assert _learner(length=16).adapt(ep.support, ep.task)(ep.query.x).isfinite().all()
    with pytest.raises(DataError, match=r"15 images.*at most 15.*=16"):
        _learner(length=15).adapt(ep.support, ep.task)


def test_more_classes_than_codes_are_refused():
    ep = toys.episode(Classification(4))
    with pytest.raises(TaskError, match=r"snail.*3 classes.*4.*way=4"):
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


# SNAIL's blocks against loops over positions, and a query alone against the whole sequence.


BLOCKS = [Convolution(4, 3, 1), Convolution(4, 3, 4), Convolution(4, 3, 64), CausalAttention(4, 3)]


@pytest.mark.parametrize("dilation", [1, 2, 8])
def test_a_convolution_looks_at_a_position_and_at_one_before(dilation):
    block, x = Convolution(4, 3, dilation), torch.randn(6, 4)
    found = block.over(x)
    for t in range(6):
        before = x[t - dilation] if t >= dilation else torch.zeros(4)
        taps = block.taps(torch.cat([x[t], before]))
        slow = taps[:3].tanh() * taps[3:].sigmoid()
        torch.testing.assert_close(found[t], torch.cat([x[t], slow]))


def test_attention_looks_at_a_position_and_at_all_before():
    block, x = CausalAttention(4, 3), torch.randn(6, 4)
    found = block.over(x)
    for t in range(6):
        scores = torch.stack([block.queries(x[t]) @ block.keys(x[s]) for s in range(t + 1)])
        weights = (scores / 3**0.5).softmax(0)
        slow = sum(weights[s] * block.values(x[s]) for s in range(t + 1))
        torch.testing.assert_close(found[t], torch.cat([x[t], slow]))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("length", [1, 4, 7])
def test_what_follows_gets_what_the_last_of_the_sequence_gets(block, length):
    past, queries = torch.randn(length, 4), torch.randn(3, 4)
    found = block.after(queries, past)
    for i in range(3):
        whole = block.over(torch.cat([past, queries[i : i + 1]]))
        torch.testing.assert_close(found[i], whole[-1])


def test_an_answer_is_the_last_row_of_the_whole_sequence():
    net = Snail(features=4, way=5, length=8, width=3)
    labels = one_hot(torch.arange(6) % 3, 3).float()
    z, queries = normalize(torch.randn(6, 4)), normalize(torch.randn(2, 4))
    answers = net.on_features(queries, net.remember(z, labels))
    for i in range(2):
        x = torch.zeros(7, 9)  # features of mean square 1 and label codes; the query has none
        x[:, :4] = torch.cat([z, queries[i : i + 1]]) * 2
        x[:6, 4:7] = labels
        for block in net.blocks:
            x = block.over(x)
        torch.testing.assert_close(answers[i], net.read(x[-1]))


@pytest.mark.parametrize(("length", "layers"), [(3, 2), (4, 2), (5, 3), (128, 7)])
def test_convolutions_reach_over_the_longest_sequence_and_no_further_than_needed(length, layers):
    blocks = Snail(features=4, way=5, length=length, width=3).blocks
    dilations = [block.dilation for block in blocks if isinstance(block, Convolution)]
    assert dilations == 2 * [2**i for i in range(layers)]
    assert sum(dilations[: layers - 1]) < length - 1 <= sum(dilations[:layers])
    assert sum(isinstance(block, CausalAttention) for block in blocks) == 3
