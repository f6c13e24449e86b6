"""Full context embeddings against the equations of Vinyals' appendix, one gate at a time."""

import torch

from medshot.learners.metric.matching import QueryContext, SupportContext


def test_the_support_is_read_forwards_and_backwards_and_added():
    context = SupportContext(3)
    z, weights = torch.randn(4, 3), dict(context.lstm.named_parameters())
    slow = z.clone()
    for order, suffix in ((range(4), "l0"), (range(3, -1, -1), "l0_reverse")):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        h, c = torch.zeros(3), torch.zeros(3)
        for i in order:
            h, c = _lstm(z[i], h, c, *(weights[f"{n}_{suffix}"] for n in names))
            slow[i] += h
    torch.testing.assert_close(context(z), slow)


def test_a_query_looks_again_and_again_at_what_is_known():
    context, z, known = QueryContext(3, steps=3), torch.randn(2, 3), torch.randn(4, 3)
    cell, seen = context.cell, context(z, known)
    for i, f in enumerate(z):
        h, c = f, torch.zeros(3)
        for _ in range(3):
            attention = torch.stack([h @ g for g in known]).softmax(0)
            r = sum(a * g for a, g in zip(attention, known, strict=True))
            x = torch.cat([f, r])
            h, c = _lstm(x, h, c, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
            h = h + f
        torch.testing.assert_close(seen[i], h)


def _lstm(x, h, c, of_x, of_h, bias_x, bias_h):
    """Hochreiter & Schmidhuber's cell with a forget gate, its gates in PyTorch's order."""
    enter, keep, new, leave = (of_x @ x + bias_x + of_h @ h + bias_h).chunk(4)
    c = keep.sigmoid() * c + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * c.tanh(), c
