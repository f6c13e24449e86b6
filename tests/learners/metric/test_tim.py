"""What is transductive is labelled so wherever it is listed or measured, and is not saved."""

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize, one_hot

import toys
from medshot.api.episodes import EpisodeEvaluation
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.episodes import evaluate
from medshot.learners import build
from medshot.learners.metric.tim import MutualInformation, targets
from medshot.tasks import Classification


def test_without_steps_it_is_the_nearest_centroid():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    still = build("tim", encoder=encoder, steps=0, sharpness=20.0)
    nearest = build("nearest-centroid", encoder=encoder, scale=10.0)
    found, expected = (each.adapt(ep.support, ep.task)(ep.query.x) for each in (still, nearest))
    torch.testing.assert_close(found, expected)


def test_a_result_of_it_is_labelled_transductive():
    sampler = EpisodeSampler(toys.dataset(), way=3, shot=1, query=2)
    encoder = toys.conv4()
    results = {
        name: evaluate(build(name, encoder=encoder), sampler, episodes=2, name=name)
        for name in ("tim", "nearest-centroid")
    }
    assert {name: r.transductive for name, r in results.items()} == {
        "tim": True,
        "nearest-centroid": False,
    }
    assert results["tim"].to_json()["transductive"]
    found = EpisodeEvaluation("toy", results, build("tim", encoder=encoder))
    assert [row[0] for row in found.table().rows] == ["tim (transductive)", "nearest-centroid"]


# The alternating direction method in loops, as the paper writes it.


SHARPNESS, FIDELITY, CONFIDENCE = 15.0, 0.3, 0.2


def _batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    support, queries = (normalize(torch.randn(n, 5).double(), dim=1) for n in (6, 8))
    return support, torch.arange(6) % 3, queries


def _predictor(support, y, steps):
    labels = one_hot(y, 3).to(support)
    return MutualInformation(nn.Identity(), support, labels, SHARPNESS, FIDELITY, CONFIDENCE, steps)


def _answers(z, prototypes):
    far = torch.stack([((z - w) ** 2).sum(1) for w in prototypes], 1)
    return (-SHARPNESS / 2 * far).softmax(1)


def _slow_step(support, y, queries, prototypes):
    p, known = _answers(queries, prototypes), _answers(support, prototypes)
    raised = p ** (1 + CONFIDENCE)
    q = torch.zeros_like(p)
    for i in range(len(p)):
        for k in range(3):
            q[i, k] = raised[i, k] / raised[:, k].sum() ** 0.5
    q = q / q.sum(1, keepdim=True)
    pull, share = FIDELITY / (1 + CONFIDENCE), len(support) / len(queries)
    moved = []
    for k, w in enumerate(prototypes):
        top, bottom = torch.zeros(5).double(), 0.0
        for i, z in enumerate(support):
            top = top + pull * ((y[i] == k) * z + known[i, k] * (w - z))
            bottom = bottom + pull * (y[i] == k)
        for i, z in enumerate(queries):
            top = top + share * (q[i, k] * z + p[i, k] * (w - z))
            bottom = bottom + share * q[i, k]
        moved.append(top / bottom)
    return torch.stack(moved)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_answers_are_those_of_the_papers_updates(steps):
    support, y, queries = _batch()
    prototypes = torch.stack([support[y == k].mean(0) for k in range(3)])
    for _ in range(steps):
        prototypes = _slow_step(support, y, queries, prototypes)
    found = _predictor(support, y, steps)(queries).softmax(1)
    torch.testing.assert_close(found, _answers(queries, prototypes))


def test_it_raises_what_it_is_to_raise():
    support, y, queries = _batch()

    def information(steps: int) -> float:
        p = _predictor(support, y, steps)(queries).softmax(1)
        marginal = p.mean(0)
        spread = -(marginal * marginal.log()).sum()
        doubt = -(p * p.log()).sum(1).mean()
        return (spread - CONFIDENCE * doubt).item()

    assert information(20) > information(0) + 0.01


def test_an_answer_depends_on_the_others_but_not_on_their_order():
    support, y, queries = _batch()
    predictor = _predictor(support, y, 20)
    together, order = predictor(queries), torch.randperm(len(queries))
    torch.testing.assert_close(predictor(queries[order]), together[order])
    assert (predictor(queries[:4]) - together[:4]).abs().max() > 0.01


def test_one_image_alone_gets_the_nearest_class_mean():
    support, y, queries = _batch()
    alone, still = _predictor(support, y, 20)(queries[:1]), _predictor(support, y, 0)(queries[:1])
    torch.testing.assert_close(alone, still, rtol=0, atol=0)


def test_targets_are_distributions_and_fairer():
    p = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    q = targets(p, 0.0)
    torch.testing.assert_close(q.sum(1), torch.ones(3))
    assert q[:, 1].mean() > p[:, 1].mean()
    sharper = targets(p, 1.0)
    assert sharper[0, 0] > q[0, 0]
