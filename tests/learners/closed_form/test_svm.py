"""The support vector machine against scikit-learn's, whose solvers are LIBLINEAR and LIBSVM."""

import numpy as np
import pytest
import torch
from sklearn.svm import SVC, LinearSVC
from torch.nn.functional import one_hot

import toys
from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.learners.closed_form.svm import dual_of
from medshot.tasks import Classification


def _data(k: int, shots: int, f: int) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.arange(k).repeat(shots)
    centres = torch.randn(k, f, dtype=torch.float64)
    return torch.randn(len(y), f, dtype=torch.float64) + centres[y], y


@pytest.mark.parametrize("c", [0.01, 0.1, 10.0])
@pytest.mark.parametrize(("k", "f"), [(2, 20), (3, 20), (5, 64), (3, 4)])
def test_weights_are_those_of_crammer_and_singer_in_scikit_learn(k, f, c):
    z, y = _data(k, 5, f)
    found = z.T @ dual_of(z, one_hot(y, k).double(), c)
    options = {"fit_intercept": False, "tol": 1e-10, "max_iter": 1_000_000, "random_state": 0}
    slow = LinearSVC(multi_class="crammer_singer", C=c, **options).fit(z.numpy(), y.numpy())
    # of two classes LIBLINEAR keeps the difference of their weights
    ours = found.T if k > 2 else found.T[1:] - found.T[:1]
    np.testing.assert_allclose(ours, slow.coef_, atol=1e-4)
    assert np.abs(slow.coef_).max() > 0.01


@pytest.mark.parametrize("c", [0.01, 1.0])
def test_for_two_classes_the_dual_is_that_of_the_usual_machine(c):
    """The same machine, at twice the price, where the usual one needs no intercept.

    With two classes w_0 = -w_1. For v = w_1 - w_0 the objective |w_0|^2 / 2 + |w_1|^2 / 2 + C xi
    is half of |v|^2 / 2 + 2 C xi, so v is the weight of a binary machine at the price 2 C, and its
    dual variables (times the sign of the class) are alpha[:, 1] - alpha[:, 0].

    SVC has an intercept. It is 0 where every image z of a class has its mirror image -z in the
    other. What is compared is the sum over such a pair: only that decides, and the solvers are
    free to share it out between the two.
    """
    z, y = _data(2, 8, 30)
    n = len(z)
    z, y = torch.cat([z, -z]), torch.cat([y, 1 - y])
    alpha = dual_of(z, one_hot(y, 2).double(), c)
    ours = (alpha[:, 1] - alpha[:, 0]).numpy()
    slow = SVC(kernel="linear", C=2 * c, tol=1e-10).fit(z.numpy(), y.numpy())
    dual = np.zeros(2 * n)
    dual[slow.support_] = slow.dual_coef_[0]
    assert slow.intercept_[0] == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(ours[:n] - ours[n:], dual[:n] - dual[n:], atol=1e-4)
    np.testing.assert_allclose(z.T.numpy() @ ours, slow.coef_[0], atol=1e-4)
    assert 0 < (np.abs(dual) < 1e-9).mean() < 1 or c < 0.1  # some images support nothing


@pytest.mark.parametrize("c", [0.1, 10.0])
def test_the_dual_is_feasible_and_its_gap_to_the_primal_is_closed(c):
    z, y = _data(4, 5, 30)
    labels = one_hot(y, 4).double()
    alpha = dual_of(z, labels, c)
    assert (alpha <= c * labels + 1e-9).all()
    torch.testing.assert_close(alpha.sum(1), torch.zeros(len(z)).double())
    weight = z.T @ alpha
    size, slack = weight.square().sum() / 2, 0.0
    for i, scores in enumerate(z @ weight):
        margins = [scores[m] + (m != y[i]) - scores[y[i]] for m in range(4)]
        slack += max(margin.item() for margin in margins)
    dual = sum(alpha[i, y[i]] for i in range(len(z))) - size
    # A margin missed by 1e-9, as the lifted diagonal lets it, costs c times as much.
    assert (size + c * slack).item() == pytest.approx(dual.item(), rel=1e-4)


def test_the_head_is_the_machine_times_the_scale():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    predictor = build("svm", encoder=encoder, c=0.3, scale=2.5).adapt(ep.support, ep.task)
    z = encoder(ep.support.x).double()
    weight = z.T @ dual_of(z, one_hot(ep.support.y, 3).double(), 0.3)
    torch.testing.assert_close(predictor.weight, 2.5 * weight.float())
    assert not predictor.bias.any()


def test_the_machine_is_not_fitted_in_half_precision():
    ep, learner = toys.episode(Classification(3)), build("svm", encoder=toys.conv4())
    z = learner.encoder(ep.support.x).detach()
    exact = learner.fit(torch.nn.Identity(), z, ep.support.y, ep.task).weight
    with torch.autocast("cpu", torch.bfloat16):
        assert learner.adapt(ep.support, ep.task).weight.dtype == torch.float32
        found = learner.fit(torch.nn.Identity(), z, ep.support.y, ep.task).weight
    torch.testing.assert_close(found, exact, rtol=0, atol=0)


def test_meta_loss_is_the_loss_of_adapting_and_predicting():
    ep, learner = toys.episode(Classification(3)), build("svm", encoder=toys.conv4())
    adapted = ep.task.loss(learner.adapt(ep.support, ep.task)(ep.query.x), ep.query.y)
    torch.testing.assert_close(learner.meta_loss(ep), adapted)


def test_features_that_say_nothing_have_a_finite_gradient():
    same = Examples(torch.ones(4, 1, 16, 16), torch.tensor([0, 0, 1, 1]))
    learner = build("svm", encoder=toys.Projection())
    learner.meta_loss(Episode(Classification(2), same, same)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learner.parameters())


def test_a_price_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="c is 0"):
        build("svm", encoder=toys.Projection(), c=0.0)
