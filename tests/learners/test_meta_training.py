"""What every learner that can be meta-trained promises: its meta-loss teaches all of it."""

import torch

import toys
from medshot.core.episode import Episode
from medshot.core.learner import Learner


def test_meta_loss_reaches_every_parameter(trainable):
    learner, ep = trainable
    learner.train().meta_loss(ep).backward()
    # A number is not scaled as logits are.
    moved = {n: p for n, p in learner.named_parameters() if ep.task.logits or n != "log_scale"}
    silent = [n for n, p in moved.items() if p.grad is None or not p.grad.any()]
    # Adding the same to all features moves no distance: a bias may have gradient zero, not none.
    assert [n for n in silent if not n.endswith("bias")] == []
    assert all(p.grad is not None for p in moved.values())


def test_meta_training_does_better_on_new_episodes(trainable):
    learner, ep = trainable
    unseen = [toys.episode(ep.task, seed, queries=20) for seed in range(1000, 1012)]
    loss, score = _judge(learner, unseen)
    optimizer = torch.optim.Adam(learner.train().parameters(), lr=3e-3)
    for step in range(60):
        optimizer.zero_grad()
        learner.meta_loss(toys.episode(ep.task, step)).backward()
        optimizer.step()
    loss_after, score_after = _judge(learner.eval(), unseen)
    assert loss_after < loss
    assert toys.chance(ep.task) + 0.05 < score < score_after - 0.05
    assert score < 0.9  # else there was nothing to learn


@torch.no_grad()
def _judge(learner: Learner, episodes: list[Episode]) -> tuple[float, float]:
    """Mean query loss and score. Not `meta_loss`, which need not be a measure."""
    predictors = [learner.adapt(e.support, e.task) for e in episodes]
    losses = [
        e.task.loss(p(e.query.x), e.query.y).item()
        for p, e in zip(predictors, episodes, strict=True)
    ]
    right = [toys.score(e.task, p, e.query) for p, e in zip(predictors, episodes, strict=True)]
    return sum(losses) / len(losses), sum(right) / len(right)
