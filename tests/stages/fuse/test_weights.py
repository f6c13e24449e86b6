"""Stacking learns what a mean cannot, and falls back on the mean."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

import toys
from medshot.core.errors import DataError
from medshot.core.predictor import load_predictor
from medshot.evaluation.cross_validation import answered, folds_of
from medshot.learners.registry import build
from medshot.nn.ensemble import stacked_outputs
from medshot.stages.fuse.fuse import agreed, mean_of, snapshots
from medshot.stages.fuse.weights import (
    answers_of,
    best_member,
    equal_scores,
    fit_map,
    fit_scores,
    greedy_soup,
    groups_of,
    left_out,
    outputs_of,
    plain_map,
    shown_in,
    soup,
)
from medshot.tasks import Classification, Regression
from toys.ensembles import bars, loss, members


def test_a_member_that_mixes_two_classes_up_is_read_rightly():
    torch.manual_seed(0)
    y, groups = torch.arange(2).repeat(30), torch.arange(60)
    turned = 4 * torch.eye(2)[1 - y].double() + torch.randn(60, 2)
    noise = torch.randn(60, 2).double()
    outputs, task = torch.stack([turned, noise]), Classification(2)
    mean = stacked_outputs(outputs, *(t.double() for t in plain_map(2, 2)), "softmax")
    weight, bias = fit_map(outputs, y, groups, task)
    found = stacked_outputs(outputs, weight.double(), bias.double(), "softmax")
    assert (mean.argmax(1) == y).double().mean() < 0.2
    assert (found.argmax(1) == y).double().mean() > 0.9


def test_where_nothing_can_be_left_out_it_stays_near_the_mean():
    outputs = torch.randn(2, 2, 2, dtype=torch.float64)
    weight, bias = fit_map(outputs, torch.tensor([0, 1]), torch.tensor([-1, -1]), Classification(2))
    mean, zero = plain_map(2, 2)
    assert (weight - mean).abs().max() < 0.1
    assert (bias - zero).abs().max() < 0.1


def test_the_plain_map_is_the_mean():
    outputs = torch.randn(3, 5, 4)
    found = stacked_outputs(outputs, *plain_map(3, 4), "identity")
    torch.testing.assert_close(found, outputs.mean(0))


# Fitted weights are those that a search over the simplex finds.


def test_weights_are_those_of_a_slow_search():
    torch.manual_seed(0)
    y = torch.arange(3).repeat(20)
    signal = torch.eye(3)[y].double()
    outputs = torch.stack([s * signal + torch.randn(60, 3) for s in (2.0, 1.0, 0.0)])
    p = outputs.softmax(2)[:, torch.arange(60), y].numpy()  # of the right class

    def slow(logits: np.ndarray) -> float:
        w = np.exp(logits) / np.exp(logits).sum()
        return -np.log(w @ p).mean() - np.log(w).sum() / 60

    wanted = minimize(slow, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-6}).x
    found = fit_scores(outputs, y, Classification(3)).softmax(0).double().numpy()
    np.testing.assert_allclose(found, np.exp(wanted) / np.exp(wanted).sum(), atol=2e-3)
    assert found[0] > found[1] > found[2]


def test_with_little_to_go_by_weights_stay_near_each_other():
    outputs = torch.tensor([[[1.0, -1.0]], [[-1.0, 1.0]]]).double()
    found = fit_scores(outputs, torch.tensor([0]), Classification(2)).softmax(0)
    assert 0.5 < found[0] < 0.75


def test_numbers_are_weighted_too():
    torch.manual_seed(0)
    y = torch.randn(50, 1, dtype=torch.float64)
    outputs = torch.stack([y + 0.1 * torch.randn(50, 1), torch.randn(50, 1).double()])
    assert fit_scores(outputs, y, Regression(1)).softmax(0)[0] > 0.85


def test_equal_scores_are_equal_weights():
    assert equal_scores(4).softmax(0).tolist() == [0.25] * 4


# A soup of weights, against the mean taken by hand.


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


# Parts and whole on the same images: what is fitted is fitted without each image's patient.


TASK = Classification(3)


def _asked():
    parts, data = members(), bars(6, seed=7, name="new")
    return parts, data, outputs_of(mean_of(parts, agreed(parts)), data.examples())


def test_outputs_are_those_of_each_part():
    parts, data, outputs = _asked()
    for part, output in zip(parts, outputs, strict=True):
        found, wanted = answers_of(output, data, TASK), answered(part, data)
        np.testing.assert_allclose(found.decoded, wanted.decoded, atol=1e-6)
        assert found.minus(wanted, "balanced accuracy").mean == 0


def test_the_best_part_has_the_best_score():
    parts, data, outputs = _asked()
    scores = [answered(p, data).interval("balanced accuracy").mean for p in parts]
    assert best_member(outputs, data.examples(), TASK) == int(np.argmax(scores))


def test_every_fold_is_answered_by_what_the_others_teach():
    _, data, outputs = _asked()
    shown = data.examples()
    stack, weighted = (left_out(outputs, shown, TASK, how) for how in ("stack", "weighted"))
    for rest, held in folds_of(data.present_classes(), data.groups):
        weight, bias = fit_map(outputs[:, rest], shown.y[rest], shown.groups[rest], TASK)
        slow = stacked_outputs(outputs[:, held], weight.double(), bias.double(), "softmax")
        torch.testing.assert_close(stack[held], slow)
        shares = fit_scores(outputs[:, rest], shown.y[rest], TASK).double().softmax(0)
        slow = torch.einsum("m,mnk->nk", shares, outputs[:, held].softmax(2))
        torch.testing.assert_close(weighted[held].softmax(1), slow)


def test_nothing_is_left_out_where_a_class_has_one_patient():
    _, data, outputs = _asked()
    one = data.subset(torch.tensor([0, 1, 6, 7, 12, 13]))
    assert left_out(outputs[:, [0, 1, 6, 7, 12, 13]], one.examples(), TASK, "weighted") is None


def test_patients_that_nobody_knows_are_minus_one():
    data = bars(2, seed=0)
    assert groups_of(data.examples()).tolist() == [0, 0, 1, 1, 2, 2]
    card = members()[0].known_card()
    bare = shown_in(data, card)
    assert groups_of(type(bare)(bare.x, bare.y)).tolist() == [-1] * 6
