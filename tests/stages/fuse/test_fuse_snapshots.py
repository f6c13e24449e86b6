"""Snapshots differ, learn, leave the original, and go on after a kill."""

from dataclasses import replace

import pytest
import torch

import toys
from medshot.core.errors import ConfigError, TaskError
from medshot.core.predictor import load_predictor
from medshot.learners.registry import build
from medshot.stages.fuse import fuse as module
from medshot.stages.fuse.fuse import fused_snapshots, snapshots
from toys.ensembles import bars, loss, masked, segmenters

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
