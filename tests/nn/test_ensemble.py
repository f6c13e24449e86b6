"""Ensembles as formulas, and as what a folder holds."""

import pytest
import torch

import toys
from medshot.core.errors import ConfigError
from medshot.core.predictor import load_predictor
from medshot.learners.registry import build
from medshot.nn.ensemble import Ensemble, Stacked, stacked


def _members():
    data = toys.dataset()
    return [build(n, encoder=toys.conv4()).adapt(data) for n in ("prototypical", "linear-probe")]


def test_stacked_is_a_sum_over_members_and_classes():
    outputs, weight, bias = torch.randn(2, 4, 3), torch.randn(2, 3, 3), torch.randn(3)
    found = stacked(outputs, weight, bias, "softmax")
    for n in range(4):
        for k in range(3):
            slow = bias[k] + sum(
                outputs[m, n].log_softmax(0)[j] * weight[m, j, k]
                for m in range(2)
                for j in range(3)
            )
            torch.testing.assert_close(found[n, k], slow)


@pytest.mark.parametrize("which", ["ensemble", "stacked"])
def test_saved_and_loaded_it_gives_the_same_numbers(which, tmp_path):
    members, forms = _members(), [(), ()]
    made = {
        "ensemble": lambda: Ensemble(members, forms, torch.tensor([0.3, -1.0]), "softmax"),
        "stacked": lambda: Stacked(members, forms, torch.randn(2, 3, 3), torch.ones(3), "softmax"),
    }[which]()
    made.card = toys.card(3)
    loaded = load_predictor(made.save(tmp_path / "model"))
    x = toys.images()
    assert torch.equal(loaded(x), made.eval()(x))
    assert loaded(x[:1]).shape == (1, 3)


def test_an_ensemble_of_ensembles_is_saved_too(tmp_path):
    inner = Ensemble(_members(), [(), ()], torch.zeros(2), "softmax")
    outer = Ensemble([inner, _members()[0]], [(), ()], torch.zeros(2), "softmax")
    outer.card = toys.card(3)
    x = toys.images()
    assert torch.equal(load_predictor(outer.save(tmp_path / "model"))(x), outer.eval()(x))


def test_an_unknown_link_is_refused():
    with pytest.raises(ConfigError, match="no link called 'mean'"):
        Ensemble(_members(), [(), ()], torch.zeros(2), "mean")
