"""Attention over tokens, against a loop; what is not seen does not matter."""

import torch

from medshot.nn.layers import SelfAttention


def test_one_head_is_the_formula():
    torch.manual_seed(0)
    layer, x = SelfAttention(4, 1), torch.randn(2, 3, 4)
    q, k, v = (layer.asked(layer.before(x))[..., i * 4 : (i + 1) * 4] for i in range(3))
    slow = torch.zeros_like(x)
    for n in range(2):
        for i in range(3):
            weights = torch.stack([q[n, i] @ k[n, j] / 2 for j in range(3)]).softmax(0)
            slow[n, i] = sum(w * value for w, value in zip(weights, v[n], strict=True))
    mixed = x + layer.mix(slow)
    torch.testing.assert_close(layer(x), mixed + layer.after(mixed))


def test_a_token_that_is_not_seen_changes_no_other():
    torch.manual_seed(0)
    layer, x = SelfAttention(8, 2), torch.randn(2, 3, 8)
    seen = torch.tensor([[True, True, False], [True, True, True]])
    changed = x.clone()
    changed[:, 2] = torch.randn(2, 8)
    before, after = layer(x, seen), layer(changed, seen)
    torch.testing.assert_close(before[0, :2], after[0, :2])
    assert not torch.allclose(before[1, :2], after[1, :2])
