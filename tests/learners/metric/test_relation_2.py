"""The relation module against the paper's form: both maps as one of twice the channels."""

import pytest
import torch
import torch.nn.functional as F

from medshot.learners.metric.relation import Relation


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
