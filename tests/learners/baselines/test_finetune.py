"""Fine-tuning against its first step by hand, and on a support that can be learned by heart."""

import torch
from torch.nn.functional import one_hot

import toys
from medshot.core import Examples
from medshot.learners import build
from medshot.learners.baselines import finetune
from medshot.learners.baselines.finetune import log_shares
from medshot.nn import encoder as build_encoder
from medshot.nn.heads import Linear
from medshot.tasks import Classification, Segmentation


def test_the_first_step_of_adam_moves_only_the_head_by_the_rate():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    predictor = build("finetune", encoder=encoder, lr=0.01, steps=1).adapt(ep.support, ep.task)
    z = encoder(ep.support.x).detach()
    slope = z.T @ (1 / 3 - one_hot(ep.support.y, 3).float())
    torch.testing.assert_close(predictor.weight, -0.01 * slope.sign(), atol=1e-5, rtol=0)
    torch.testing.assert_close(predictor.encoder[1].weight, encoder[1].weight.detach())


def test_it_learns_the_support_by_heart_and_moves_the_encoder():
    ep, encoder = toys.episode(Classification(3)), toys.conv4()
    predictor = build("finetune", encoder=encoder, lr=0.01).adapt(ep.support, ep.task)
    assert isinstance(predictor, Linear)
    start = build("nearest-centroid", encoder=encoder).adapt(ep.support, ep.task)
    assert toys.accuracy(start, ep.support) < toys.accuracy(predictor, ep.support) == 1.0
    moved = zip(predictor.encoder.parameters(), encoder.parameters(), strict=True)
    assert not any(torch.equal(after, before) for after, before in moved)


def _corners(n: int = 2, side: int = 32) -> Examples:
    """A bright square of 1 % of an image, in its mask; the rest is noise."""
    x = torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(0)) / 2
    y = torch.zeros(n, side, side, dtype=torch.long)
    for i in range(n):
        x[i, :, 4 + i : 7 + i, 5:8] += 0.5
        y[i, 4 + i : 7 + i, 5:8] = 1
    return Examples(x, y)


def test_a_class_that_fills_little_of_the_image_is_marked_after_few_steps(monkeypatch):
    support, task = _corners(), Segmentation(2)
    encoder = build_encoder("unet", channels=1, size=32, width=4, depth=2)

    def marked() -> float:
        predictor = build("finetune", encoder=encoder, steps=60).adapt(support, task)
        return float((predictor(support.x).argmax(1) == 1)[support.y == 1].double().mean())

    assert marked() > 0.9
    monkeypatch.setattr(finetune, "log_shares", lambda target, k: torch.zeros(k))
    assert marked() == 0  # as it was


def test_unlabeled_sites_and_absent_classes_count_for_no_share():
    target = torch.tensor([[0, 0, 0, 1, -1, -1]])
    torch.testing.assert_close(log_shares(target, 3).exp(), torch.tensor([0.6, 0.2, 0.2]))


def test_images_are_flipped_in_turn_and_by_choice_are_not():
    support, task = _corners(1), Segmentation(2)
    seen = []

    class Watched(type(build_encoder("filters", channels=1, size=32))):
        def forward(self, x):
            seen.append(x.detach().clone())
            return super().forward(x)

    encoder = Watched(channels=1, size=32)
    build("finetune", encoder=encoder, steps=4).adapt(support, task)
    for step, axes in enumerate([[], [-1], [-2], [-1, -2]]):
        assert torch.equal(seen[step], support.x.flip(axes) if axes else support.x)
    seen.clear()
    build("finetune", encoder=encoder, steps=2, flips=False).adapt(support, task)
    assert torch.equal(seen[1], support.x)
