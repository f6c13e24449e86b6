"""What a predictor has learned becomes parameters, and buffers again."""

import pytest
import torch

import toys
from medshot.core.predictor import load_predictor, settled, trainable
from medshot.learners.registry import build

NAMES = ("linear-probe", "prototypical", "maml", "mahalanobis")


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_moves_and_the_original_does_not(name, tmp_path):
    predictor = build(name, encoder=toys.conv4()).adapt(toys.dataset())
    x = toys.images()
    before = predictor(x)
    copied = trainable(predictor)
    torch.testing.assert_close(copied(x), before)
    copied(x).square().sum().backward()
    head = {n: p for n, p in copied.named_parameters() if not n.startswith("encoder.")}
    assert head
    assert all(p.grad is not None for p in copied.parameters())
    with torch.no_grad():
        for p in copied.parameters():
            p.add_(0.1)
    assert torch.equal(predictor(x), before)
    changed = settled(copied)
    assert not any(t.requires_grad for t in changed.state_dict(keep_vars=True).values())
    assert set(changed.state_dict()) == set(predictor.state_dict())
    assert {n for n, _ in changed.named_parameters()} == {
        n for n, _ in predictor.named_parameters()
    }
    loaded = load_predictor(changed.save(tmp_path / "saved"))
    assert torch.equal(loaded(x), changed(x))
    assert not torch.allclose(changed(x), before)
