"""A soup of weights, against the mean taken by hand."""

import pytest
import torch

import toys
from medshot.core.errors import DataError
from medshot.core.predictor import load_predictor
from medshot.learners.registry import build
from medshot.stages.fuse.snapshots import snapshots
from medshot.stages.fuse.soup import greedy_soup, soup
from toys.ensembles import bars, loss


@pytest.fixture(scope="module")
def descended():
    torch.manual_seed(0)
    data = bars(4, seed=0)
    first = build("linear-probe", encoder=toys.conv4()).adapt(data)
    return snapshots(first, data, cycles=3, steps=5, lr=0.01)


def test_every_weight_is_the_mean(descended, tmp_path):
    found = soup(descended)
    for name, tensor in found.state_dict().items():
        slow = sum(m.state_dict()[name] for m in descended) / 3
        torch.testing.assert_close(tensor, slow)
    found.card = descended[0].card
    x = toys.images()
    assert torch.equal(load_predictor(found.save(tmp_path / "model"))(x), found(x))


def test_the_greedy_soup_leaves_out_what_makes_it_worse(descended):
    spoilt = descended[0].freeze()
    spoilt.load_state_dict({n: t + torch.randn_like(t) for n, t in spoilt.state_dict().items()})
    new = bars(6, seed=5)
    found, chosen = greedy_soup([*descended, spoilt], lambda p: loss(p, new))
    assert 3 not in chosen
    assert loss(found, new) <= min(loss(m, new) for m in descended)


def test_networks_that_are_built_otherwise_have_no_mean(descended):
    other = build("linear-probe", encoder=toys.conv4(width=16)).adapt(bars(4, seed=0))
    with pytest.raises(DataError, match="2 is not built as model 1"):
        soup([descended[0], other])
