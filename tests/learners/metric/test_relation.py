"""Relation scores and their squared error against Sung's formulas, with maps and without."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import toys
from medshot.core.errors import ConfigError
from medshot.evaluation.episodes import without_encoder
from medshot.learners import build
from medshot.learners.metric.relation import Relation
from medshot.nn import Pixels
from medshot.tasks import Classification


def test_the_loss_is_the_mean_squared_error_of_scores_to_same_or_not():
    ep = toys.episode(Classification(3))
    learner = build("relation", encoder=toys.conv4(halvings=2))
    scores = learner.adapt(ep.support, ep.task)(ep.query.x).sigmoid()
    errors = [
        (scores[i, c] - (1.0 if y == c else 0.0)) ** 2
        for i, y in enumerate(ep.query.y)
        for c in range(3)
    ]
    torch.testing.assert_close(learner.meta_loss(ep), sum(errors) / len(errors))


@pytest.mark.parametrize("combine", ["mean", "sum"])
def test_a_class_is_the_mean_or_the_sum_of_its_images(combine):
    ep = toys.episode(Classification(3))
    support = ep.support[torch.tensor([0, 1, 2, 3, 6])]
    learner = build("relation", encoder=toys.Projection(), combine=combine)
    centres = learner.adapt(support, ep.task).centres
    for c, n in ((0, 3), (1, 1), (2, 1)):
        total = learner.encoder(support.x[support.y == c]).sum(0)
        torch.testing.assert_close(centres[c], total / n if combine == "mean" else total)


def test_at_first_the_cosine_decides_and_0_leaves_it_out():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    z, known = (torch.nn.functional.normalize(encoder(e.x), dim=1) for e in (ep.query, ep.support))
    torch.manual_seed(0)
    with_it = build("relation", encoder=encoder, cosine=10.0)
    torch.manual_seed(0)
    without = build("relation", encoder=encoder, cosine=0.0)
    one = ep.support[torch.arange(3)]
    added = [learner.adapt(one, ep.task)(ep.query.x) for learner in (with_it, without)]
    offset = with_it.relation.score[-1].bias - without.relation.score[-1].bias
    torch.testing.assert_close(added[0] - added[1], 10 * z @ known[:3].T + offset)
    assert with_it.relation.score[-1].bias == -5
    assert "relation.cosine" not in dict(without.named_parameters())


def test_maps_are_compared_by_convolutions_where_the_encoder_has_maps():
    maps = build("relation", encoder=toys.conv4(halvings=2)).relation
    assert maps.of_image.weight.shape == (64, 8, 3, 3)
    for encoder in (toys.conv4(read="mean"), Pixels(channels=1, size=16)):
        vectors = build("relation", encoder=encoder).relation
        assert vectors.of_image.weight.shape == (64, encoder.n_features, 1, 1)


def test_features_that_were_encoded_beforehand_are_maps_again():
    ep = toys.episode(Classification(3))
    learner = build("relation", encoder=toys.conv4(halvings=2))
    support, query = (replace(e, x=learner.encoder(e.x)) for e in (ep.support, ep.query))
    encoded = without_encoder(learner).adapt(support, ep.task)(query.x)
    torch.testing.assert_close(encoded, learner.adapt(ep.support, ep.task)(ep.query.x))


def test_with_batch_norm_one_image_still_gets_the_answer_it_gets_among_others():
    ep = toys.episode(Classification(3))
    learner = build("relation", encoder=toys.conv4(halvings=2), norm="batch")
    learner.train().meta_loss(ep)  # moves the statistics that are kept
    predictor = learner.eval().adapt(ep.support, ep.task)
    alone = torch.cat([predictor(x[None]) for x in ep.query.x])
    torch.testing.assert_close(alone, predictor(ep.query.x), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"combine": "median"}, "no reduction over .* 'median'"),
        ({"norm": "transductive"}, "no normalization policy of a relation"),
    ],
)
def test_what_it_cannot_do_is_refused(options, told):
    with pytest.raises(ConfigError, match=told):
        build("relation", encoder=toys.conv4(), **options)


def test_scores_are_given_in_full_precision():
    ep = toys.episode(Classification(3))
    learner = build("relation", encoder=toys.conv4(halvings=2))
    exact = learner.meta_loss(ep)
    with torch.autocast("cpu", torch.bfloat16):
        assert learner.adapt(ep.support, ep.task)(ep.query.x).dtype == torch.float32
        loss = learner.meta_loss(ep)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, atol=0.05, rtol=0.05)


# The relation module against the paper's form: both maps as one of twice the channels.


@pytest.mark.parametrize("cosine", [0.0, 4.0])
@pytest.mark.parametrize("map_shape", [(2, 7, 7), (2, 4, 5), (2, 3, 1), (5, 1, 1)])
def test_a_score_is_that_of_the_two_maps_as_one(map_shape, cosine):
    relation = Relation(map_shape, width=8, hidden=3, norm="none", cosine=cosine).double()
    f = torch.tensor(map_shape).prod()
    z, centres = (torch.randn(n, f, dtype=torch.float64) for n in (3, 2))
    odds = relation(z, centres)
    for i in range(3):
        for c in range(2):
            slow = _slow(relation, z[i].view(map_shape), centres[c].view(map_shape))
            if cosine:
                slow = slow + cosine * F.cosine_similarity(z[i], centres[c], dim=0)
            torch.testing.assert_close(odds[i, c], slow)


def test_by_default_a_pair_is_normalised_by_itself():
    relation, z, centres = Relation((2, 5, 5)), torch.randn(3, 50), torch.randn(2, 50)
    kept = dict(relation.train().named_buffers())
    assert kept == {}
    torch.testing.assert_close(relation(z[:1], centres[1:]), relation(z, centres)[:1, 1:])


def _slow(relation, image, of_class):
    """Concatenate, and then two blocks and two linear maps, as in the paper."""
    first = relation.of_image
    weight = torch.cat([first.weight, relation.of_class.weight], dim=1)
    x = F.conv2d(torch.cat([image, of_class])[None], weight, first.bias, padding=first.padding)
    x = _halved(F.silu(x))
    if image.shape[1:] != (1, 1):
        second = relation.second[0]
        x = _halved(F.silu(F.conv2d(x, second.weight, second.bias, padding=second.padding)))
    hidden, last = relation.score[1], relation.score[3]
    return last(F.silu(hidden(x.flatten())))[0]


def _halved(x):
    return F.max_pool2d(x, [2 if side > 1 else 1 for side in x.shape[2:]])
