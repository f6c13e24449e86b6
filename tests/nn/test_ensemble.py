"""Ensembles as formulas, and as what a folder holds."""

import pytest
import torch

import toys
from medshot.core.errors import ConfigError
from medshot.core.predictor import load_predictor
from medshot.core.task import task_of
from medshot.data.transforms import resized
from medshot.learners.registry import build
from medshot.nn.ensemble import (
    Ensemble,
    EnsembleMembers,
    Stacked,
    comparable,
    convert_images,
    mixed,
    refuse_unknown_link,
    stacked_outputs,
)


def _members():
    data = toys.dataset()
    return [build(n, encoder=toys.conv4()).adapt(data) for n in ("prototypical", "linear-probe")]


def test_stacked_is_a_sum_over_members_and_classes():
    outputs, weight, bias = torch.randn(2, 4, 3), torch.randn(2, 3, 3), torch.randn(3)
    found = stacked_outputs(outputs, weight, bias, "softmax")
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


# Members see images in the form that they were learned on.


def test_images_are_brought_in_form_as_a_data_set_brings_them():
    x = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    found = convert_images(x / 255, (1, 16))
    torch.testing.assert_close(found, resized(x, 1, 16) / 255, atol=2 / 255, rtol=0)
    grey = torch.rand(2, 1, 16, 16)
    assert torch.equal(convert_images(grey, (3, 16)), grey.expand(-1, 3, -1, -1))
    assert convert_images(grey, ()) is grey


def test_each_member_answers_what_it_is_asked_in_its_own_form():
    small = build("nearest-centroid", encoder=toys.conv4()).adapt(toys.dataset())
    wide = toys.conv4(channels=3, size=32)
    large = build("nearest-centroid", encoder=wide).adapt(toys.dataset(channels=3, size=32))
    x = toys.images(channels=3, size=32)
    found = EnsembleMembers([small, large], [(1, 16), (3, 32)]).said(x)
    torch.testing.assert_close(found[0], small(convert_images(x, (1, 16))))
    torch.testing.assert_close(found[1], large(x))


def test_answers_for_sites_are_on_the_grid_of_the_largest():
    torch.manual_seed(0)
    task = toys.task_of("segmentation")
    shown = toys.episode(task).support
    small = build("prototypical", encoder=toys.encoder(task)).adapt(shown, task)
    x = torch.rand(2, 8, 32, 32)
    found = EnsembleMembers([small], [(8, 16)]).said(x)
    assert found.shape == (1, 2, 3, 32, 32)
    torch.testing.assert_close(
        found[0, :, :, ::2, ::2].mean(),
        small(convert_images(x, (8, 16))).mean(),
        atol=0.1,
        rtol=0.1,
    )


# A mean of probabilities, written as an output again.


WHOLE = ("classification", "multi-label", "regression")


@pytest.mark.parametrize("kind", WHOLE)
def test_what_it_decodes_to_is_the_weighted_mean_of_what_members_decode_to(kind):
    task, outputs = task_of(kind, 3), 3 * torch.randn(4, 5, 3, dtype=torch.float64)
    scores = torch.randn(4, dtype=torch.float64)
    found = task.decode(mixed(outputs, scores, str(task.link)))
    slow = sum(w * task.decode(o) for w, o in zip(scores.softmax(0), outputs, strict=True))
    torch.testing.assert_close(found, slow)


def test_grades_are_averaged_question_by_question():
    task, outputs = task_of("ordinal", 2), torch.tensor([[[3.0, -1.0]], [[0.5, -2.0]]]).double()
    found = task.decode(mixed(outputs, torch.zeros(2).double(), "sigmoid"))
    slow = (task.decode(outputs[0]) + task.decode(outputs[1])) / 2
    torch.testing.assert_close(found, slow)


@pytest.mark.parametrize("kind", ["segmentation", "enhancement"])
def test_every_site_is_averaged_by_itself(kind):
    task, outputs = task_of(kind, 3), torch.rand(2, 2, 3, 4, 5)
    scores = torch.tensor([0.3, -0.2])
    found = mixed(outputs, scores, str(task.link))
    alone = mixed(outputs[..., 2, 3], scores, str(task.link))
    torch.testing.assert_close(found[..., 2, 3], alone)


def test_a_member_that_is_sure_and_has_no_weight_changes_nothing():
    outputs = torch.tensor([[[0.2, -0.1]], [[500.0, -500.0]]])
    found = mixed(outputs, torch.tensor([0.0, -1e4]), "softmax")
    torch.testing.assert_close(found.softmax(1), outputs[0].softmax(1))


def test_log_odds_are_comparable_without_their_offset():
    outputs = torch.randn(2, 3, 4)
    torch.testing.assert_close(comparable(outputs + 7, "softmax"), outputs.log_softmax(2))
    assert torch.equal(comparable(outputs, "identity"), outputs)


def test_an_unknown_link_is_named_with_those_that_are():
    with pytest.raises(ConfigError, match=r"'softmx'.*softmax"):
        refuse_unknown_link("softmx")
