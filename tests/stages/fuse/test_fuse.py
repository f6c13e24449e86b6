"""Fused predictors: better than the wrong one among them, saved, and refused where they must be."""

from dataclasses import replace

import pytest
import torch

import medshot
import toys
from medshot.core.errors import ConfigError, DataError, SaveError, TaskError
from medshot.core.predictor import load_predictor
from medshot.learners.registry import build
from medshot.stages.fuse import fuse as module
from medshot.stages.fuse.fuse import fused_card, fused_snapshots, snapshots
from toys.ensembles import bars, loss, masked, members, segmenters

NEW = bars(10, seed=7, name="new")
HOWS = ("mean", "weighted", "stack")


@pytest.mark.parametrize("how", HOWS)
def test_saved_and_loaded_it_answers_the_same_and_members_stay(how, tmp_path):
    parts = members()
    before = [p(NEW.examples().x) for p in parts]
    found = medshot.fuse(parts, NEW, how=how)
    loaded = medshot.load_predictor(found.save(tmp_path / "model"))
    x = NEW.examples().x
    assert torch.equal(loaded(x), found(x))
    torch.testing.assert_close(loaded(x[:1]), found(x)[:1])
    assert all(torch.equal(p(x), b) for p, b in zip(parts, before, strict=True))
    stage = loaded.known_card().stages[-1]
    assert stage["how"] == how
    learners = ("linear-probe", "nearest-centroid", "nearest-centroid")
    assert stage["members"] == [f"{name} on conv4 (untrained) from bars" for name in learners]
    assert stage.get("fitted_on") == (None if how == "mean" else "new")
    said = (tmp_path / "model" / "README.md").read_text()
    assert how in said
    assert "Fused of several models, which learned from `bars" in said


def test_weights_find_who_is_wrong_and_help_on_other_images():
    parts, other = members(), bars(20, seed=9, name="other")
    enough = bars(20, seed=6, name="enough")
    plain, weighted = medshot.fuse(parts), medshot.fuse(parts, enough, how="weighted")
    shares = weighted.known_card().stages[-1]["weights"]
    assert shares[2] == min(shares) < 0.25
    assert loss(weighted, other) < loss(plain, other)
    assert loss(medshot.fuse(parts, enough, how="stack"), other) < loss(plain, other)


@pytest.mark.parametrize("how", HOWS)
def test_masks_are_fused_too(how, tmp_path):
    parts, new = segmenters(), masked(6, seed=3)
    found = medshot.fuse(parts, new, how=how)
    x = new.examples().x
    assert torch.equal(medshot.load_predictor(found.save(tmp_path / "model"))(x), found(x))
    assert loss(found, new) < max(loss(p, new) for p in parts)


def test_members_of_other_sizes_and_channels_take_the_largest_images(tmp_path):
    small = build("linear-probe", encoder=toys.conv4()).adapt(bars(4, seed=0))
    data = replace(bars(4, seed=0).at(3, 32), hash="the same in colour")
    large = build("linear-probe", encoder=toys.conv4(channels=3, size=32)).adapt(data)
    found = medshot.fuse([small, large])
    form = found.known_card().preprocessing
    assert (form.channels, form.size) == (3, 32)
    x = toys.images(channels=3, size=32)
    assert torch.equal(medshot.load_predictor(found.save(tmp_path / "m"))(x), found(x))
    assert medshot.fuse([small, large], NEW, how="weighted")(x).shape == (6, 3)


def test_a_greedy_soup_says_who_is_in_it():
    torch.manual_seed(0)
    data = bars(4, seed=0)
    first = build("linear-probe", encoder=toys.conv4()).adapt(data)
    parts = medshot.snapshots(first, data, cycles=2, steps=4, lr=0.01)
    found = medshot.fuse(parts, NEW, how="greedy-soup")
    assert set(found.known_card().stages[-1]["chosen"]) <= {1, 2}
    assert medshot.fuse(parts, how="soup")(toys.images()).shape == (6, 3)


def test_images_that_a_member_learned_from_are_refused_where_something_is_fitted():
    seen = bars(4, seed=0)
    with pytest.raises(DataError, match="images that model 1 learned"):
        medshot.fuse(members(seen), seen, how="weighted")
    again = medshot.fuse([medshot.fuse(members(seen)), *members(seen)])
    with pytest.raises(DataError, match="learned from"):
        medshot.fuse([again, *members(seen)], seen, how="stack")


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"how": "sum"}, ConfigError, "'sum'.*mean"),
        ({"how": "weighted"}, ConfigError, "give images"),
    ],
)
def test_options_that_cannot_be(given, error, said):
    with pytest.raises(error, match=said):
        medshot.fuse(members(), **given)


def _changed(**fields):
    parts = members()
    parts[1].card = replace(parts[1].known_card(), **fields)
    return parts


def test_predictors_that_do_not_agree_are_refused_with_what_differs():
    with pytest.raises(ConfigError, match="at least two predictors"):
        medshot.fuse(members()[:1])
    with pytest.raises(DataError, match=r"1 knows a, b, c.*2 a, b, d"):
        medshot.fuse(_changed(labels=("a", "b", "d")))
    with pytest.raises(TaskError, match=r"classification.*model 2 multi"):
        medshot.fuse(_changed(task=medshot.MultiLabel(3)))
    nearest = replace(members()[0].known_card().preprocessing, resize="nearest")
    with pytest.raises(DataError, match="read files in other ways"):
        medshot.fuse(_changed(preprocessing=nearest))
    bare = members()
    bare[1].card = None
    with pytest.raises(SaveError, match="knows neither its labels"):
        medshot.fuse(bare)


def test_boxes_and_numbers_in_other_units_are_refused():
    card = replace(members()[0].known_card(), task=toys.task_of("detection"))
    with pytest.raises(TaskError, match="boxes of several predictors"):
        medshot.fuse([p.with_card(card) for p in members()])
    units = [medshot.Regression(3, (m,), (1.0,)) for m in (0.0, 5.0, 0.0)]
    card = members()[0].known_card()
    parts = [p.with_card(replace(card, task=u)) for p, u in zip(members(), units, strict=True)]
    with pytest.raises(TaskError, match="in other units"):
        medshot.fuse(parts)


def test_support_is_counted_once_a_folder():
    first, second = (p.known_card() for p in members()[1:])
    same = fused_card([first, first], "mean").data
    assert same == first.data
    both = fused_card([first, second], "mean").data
    assert both["images"] == {"a": 8, "b": 8, "c": 8}
    assert both["hash"] == "bars 0 4 + mistaken"


# Snapshots differ, learn, leave the original, and go on after a kill.


OPTIONS = {"cycles": 2, "steps": 6, "lr": 0.01}


def _begun():
    torch.manual_seed(0)
    data = bars(4, seed=0)
    return build("nearest-centroid", encoder=toys.conv4()).adapt(data), data


def test_each_cycle_gives_another_and_a_better_predictor():
    first, data = _begun()
    before = {n: t.clone() for n, t in first.state_dict().items()}
    found = snapshots(first, data, **OPTIONS)
    assert len(found) == 2
    assert not torch.equal(found[0](toys.images()), found[1](toys.images()))
    assert loss(found[1], data) < loss(first, data)
    assert all(torch.equal(t, before[n]) for n, t in first.state_dict().items())


def test_masks_can_be_snapshot_too(tmp_path):
    first, data = segmenters()[0], masked(4, seed=0)
    found = fused_snapshots(first, data, **OPTIONS)
    assert loss(found, data) < loss(first, data)
    x = data.examples().x
    assert torch.equal(load_predictor(found.save(tmp_path / "model"))(x), found(x))


def test_killed_in_the_second_cycle_it_ends_with_the_same_bits(tmp_path, monkeypatch):
    first, data = _begun()
    whole = snapshots(first, data, **OPTIONS)
    descend, calls = module.descend, []

    def dies(*args, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return descend(*args, **options)

    monkeypatch.setattr(module, "descend", dies)
    with pytest.raises(KeyboardInterrupt):
        snapshots(first, data, folder=tmp_path, **OPTIONS)
    again = snapshots(first, data, folder=tmp_path, **OPTIONS)
    for a, b in zip(whole, again, strict=True):
        assert all(torch.equal(t, b.state_dict()[n]) for n, t in a.state_dict().items())


def test_the_card_says_what_was_done():
    first, data = _begun()
    stage = fused_snapshots(first, data, **OPTIONS).known_card().stages[-1]
    assert stage == {
        "stage": "fuse",
        "how": "snapshots",
        "members": ["nearest-centroid on conv4 (untrained) from bars"],
        "cycles": 2,
        "steps": 6,
        "lr": 0.01,
    }


def test_numbers_that_cannot_be_are_refused():
    first, data = _begun()
    with pytest.raises(ConfigError, match="cycles=1 must be at least 2"):
        snapshots(first, data, cycles=1)


def test_boxes_are_refused_before_the_work():
    first, data = _begun()
    card = first.known_card()
    first.card = replace(card, task=toys.task_of("detection"))
    with pytest.raises(TaskError, match="cannot be averaged"):
        fused_snapshots(first, data)
