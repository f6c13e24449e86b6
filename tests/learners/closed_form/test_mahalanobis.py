"""Covariances and distances written out as matrices, class by class."""

import pytest
import torch

import toys
from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.learners.closed_form.mahalanobis import Gaussians, mahalanobis
from medshot.tasks import Classification


def _learner(rank: int):
    learner = build("mahalanobis", encoder=toys.Projection(outputs=6), rank=rank).double()
    with torch.no_grad():
        for parameter in (learner.log_prior, learner.log_task, learner.log_class):
            parameter.copy_(torch.randn_like(parameter))
    return learner


def _support(counts: tuple[int, ...]) -> Examples:
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return Examples(torch.randn(len(y), 1, 16, 16, dtype=torch.float64), y)


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("counts", [(4, 4, 4), (1, 5, 3), (1, 1, 1)])
def test_scores_are_minus_half_the_distance_by_the_shrunk_covariance(rank, counts):
    learner, support = _learner(rank), _support(counts)
    queries = torch.randn(5, 1, 16, 16, dtype=torch.float64)
    z, zq = learner.encoder(support.x), learner.encoder(queries)
    a, b = learner.log_task.exp(), learner.log_class.exp()
    prior = torch.diag(learner.log_prior.exp())
    for direction in learner.directions if rank else ():
        prior = prior + torch.outer(direction, direction)
    means = [z[support.y == c].mean(0) for c in range(3)]
    scatters = []
    for c, mean in enumerate(means):
        rest = z[support.y == c] - mean
        scatters.append(sum(torch.outer(r, r) for r in rest))
    task = (a * prior + sum(scatters)) / (a + len(z) - 3)
    scores = learner.adapt(support, Classification(3))(queries)
    for c, (mean, scatter, n) in enumerate(zip(means, scatters, counts, strict=True)):
        covariance = (b * task + scatter) / (b + n - 1)
        for i, query in enumerate(zq):
            slow = -0.5 * (query - mean) @ torch.linalg.solve(covariance, query - mean)
            torch.testing.assert_close(scores[i, c], slow)


def test_before_meta_learning_one_image_a_class_makes_it_the_nearest_centroid():
    ep = toys.episode(Classification(3), shots=1)
    encoder = toys.Projection()
    ours = build("mahalanobis", encoder=encoder).adapt(ep.support, ep.task)(ep.query.x)
    nearest = build("prototypical", encoder=encoder).adapt(ep.support, ep.task)(ep.query.x)
    torch.testing.assert_close(ours, nearest / 2)


def test_a_large_prior_weight_forgets_the_spread_of_the_support():
    ep, own = toys.episode(Classification(3)), {"task_weight": 1.0, "class_weight": 1.0}
    learner = build("mahalanobis", encoder=toys.Projection(), **own)
    near = build("prototypical", encoder=learner.encoder).adapt(ep.support, ep.task)(ep.query.x)
    with torch.no_grad():
        spread = (learner.adapt(ep.support, ep.task)(ep.query.x) - near / 2).abs().max()
        learner.log_task.fill_(20.0)
        learner.log_class.fill_(20.0)
    assert spread > 0.1
    torch.testing.assert_close(learner.adapt(ep.support, ep.task)(ep.query.x), near / 2)


@pytest.mark.parametrize("rank", [0, 2])
def test_everything_is_meta_learned(rank):
    ep, learner = toys.episode(Classification(3)), _learner(rank).float()
    learner.meta_loss(ep).backward()
    own = [name for name, _ in learner.named_parameters() if not name.startswith("encoder")]
    assert len(own) == (4 if rank else 3)
    assert all(p.grad is not None and p.grad.any() for p in learner.parameters() if p.ndim != 1)


def test_meta_loss_is_the_loss_of_adapting_and_predicting():
    ep, learner = toys.episode(Classification(3)), build("mahalanobis", encoder=toys.conv4())
    adapted = ep.task.loss(learner.adapt(ep.support, ep.task)(ep.query.x), ep.query.y)
    torch.testing.assert_close(learner.meta_loss(ep), adapted)


@pytest.mark.parametrize("options", [{"task_weight": 0.0}, {"class_weight": -1.0}])
def test_a_weight_of_no_images_is_refused(options):
    with pytest.raises(ConfigError, match="above 0"):
        build("mahalanobis", encoder=toys.Projection(), **options)


# Gaussian scores against precisions written out.


def _parts() -> tuple[torch.Tensor, ...]:
    return torch.randn(3, 5), 1 + torch.rand(3, 5), 0.2 * torch.randn(3, 4, 5)


def test_distances_are_by_the_precision_written_out():
    z, (means, precisions, factors) = torch.randn(7, 5), _parts()
    found = mahalanobis(z, means, precisions, factors)
    for i in range(7):
        for c in range(3):
            apart = z[i] - means[c]
            precision = torch.diag(precisions[c]) - factors[c].T @ factors[c]
            torch.testing.assert_close(found[i, c], apart @ precision @ apart)


def test_scores_are_minus_half_of_them_and_not_in_half_precision():
    encoder, parts, x = toys.Projection(outputs=5), _parts(), toys.images()
    predictor, z = Gaussians(encoder, *parts), encoder(x)
    torch.testing.assert_close(predictor(x), -0.5 * mahalanobis(z, *parts))
    with torch.autocast("cpu", torch.bfloat16):
        found = Gaussians(torch.nn.Identity(), *parts)(z)
    torch.testing.assert_close(found, -0.5 * mahalanobis(z, *parts), rtol=0, atol=0)


def test_what_was_adapted_is_in_the_state_and_is_no_parameter():
    predictor = Gaussians(toys.conv4(), *_parts())
    assert {"means", "precisions", "factors"} <= set(predictor.state_dict())
    assert all(name.startswith("encoder.") for name, _ in predictor.named_parameters())
