"""Every way on every kind of task: what it changes, what it does not, what is saved."""

from dataclasses import replace

import pytest
import torch

import toys
from medshot.core.predictor import load_predictor
from medshot.core.task import TASKS
from medshot.learners.registry import build
from medshot.stages.finetune.finetune import finetune
from medshot.stages.finetune.methods import methods

CASES = [pytest.param(way, kind, id=f"{way}-{kind}") for way in methods() for kind in TASKS]


def _case(kind: str):
    task = toys.task_of(kind)
    episode = toys.episode(task, shots=3)
    learner = build("finetune", encoder=toys.encoder(task), steps=2)
    predictor = learner.adapt(episode.support, task)
    return predictor.with_card(replace(toys.card(task.n_outputs), task=task)), episode


def _weights(predictor):
    return {name: tensor.clone() for name, tensor in predictor.state_dict().items()}


@pytest.mark.parametrize(("way", "kind"), CASES)
def test_a_predictor_becomes_a_predictor(way, kind, tmp_path):
    predictor, episode = _case(kind)
    x, before = episode.query.x, _weights(predictor)
    same = finetune(predictor, episode.support, way, steps=0)
    assert torch.equal(same(x), predictor(x)), "no step, no change"
    changed = finetune(predictor, episode.support, way, steps=3)
    again = finetune(predictor, episode.support, way, steps=3)
    assert all(torch.equal(tensor, before[n]) for n, tensor in predictor.state_dict().items())
    assert torch.equal(changed(x), again(x)), "the same support gives the same predictor"
    assert not torch.equal(changed(x), predictor(x))
    assert changed.state_dict().keys() == before.keys(), "usual parts"
    assert not any(p.requires_grad for p in changed.parameters())
    loaded = load_predictor(changed.save(tmp_path / "saved"))
    assert torch.equal(loaded(x), changed(x))
    assert loaded.known_card().stages[-1]["what"] == way


@pytest.mark.parametrize("kind", ["classification", "segmentation"])
@pytest.mark.parametrize(
    ("way", "moves"),
    [
        ("head", lambda name, shape: False),
        ("bias", lambda name, shape: len(shape) == 1),
        ("film", lambda name, shape: len(shape) == 1),
        ("lora", lambda name, shape: len(shape) > 1),
        ("adapter", lambda name, shape: shape[-1] == 3 and len(shape) > 1),
        ("all", lambda name, shape: True),
    ],
)
def test_only_what_is_named_moves(way, moves, kind):
    predictor, episode = _case(kind)
    before = _weights(predictor)
    after = finetune(predictor, episode.support, way, steps=3).state_dict()
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    named = {n for n, t in before.items() if n.startswith("encoder.") and moves(n, t.shape)}
    assert {n for n in moved if not n.startswith("encoder.")} == {"weight", "bias"}
    if way == "film":  # biases of convolutions stay
        named = {n for n in named if f"{n.rpartition('.')[0]}.weight" in named}
    assert {n for n in moved if n.startswith("encoder.")} <= named
    assert len(moved - {"weight", "bias"}) >= 0.8 * len(named), "but for those without a slope"
