"""Rules of update are pure functions."""

import torch

from medshot.inner.rule import SGD


def test_sgd_is_minus_the_rate_times_the_gradient_and_has_no_memory():
    rule, grads = SGD(0.25), {"a": torch.tensor([1.0, -2.0])}
    state = rule.init({"a": torch.zeros(2)})
    updates, after = rule.update(grads, state)
    assert updates["a"].tolist() == [-0.25, 0.5]
    assert state is after is None
    assert grads["a"].tolist() == [1.0, -2.0]
    assert list(rule.parameters()) == []
