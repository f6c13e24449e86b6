"""The meta-gradient of every exact learner, against central differences in float64."""

import pytest
import torch

import toys
from medshot.core.episode import Episode, Examples
from medshot.core.learner import Learner
from medshot.learners import build, learners
from medshot.tasks import Classification

STEP = 1e-5
CLOSE = {"atol": 1e-7, "rtol": 1e-5}
EXACT = [(name, {}) for name, cls in learners().items() if cls.exact]
EXACT += [("prototypical", {"distance": d}) for d in ("mean-squared", "euclidean")]
EXACT += [(name, {"remat": True}) for name in ("maml", "meta-sgd", "maml++", "meta-gradient")]
EXACT += [("maml", {"way": 3}), ("lda", {"shrinkage": 0.5})]


@pytest.mark.parametrize(("name", "options"), EXACT)
def test_the_meta_gradient_is_exact(name, options):
    learner = build(name, encoder=toys.Smooth(), **options).double()
    backward, differences = _both_ways(learner)
    assert max(d.abs().max() for d in differences.values()) > 1e-3
    torch.testing.assert_close(backward, differences, **CLOSE)


def test_a_first_order_gradient_is_not_so_that_this_test_can_fail():
    backward, differences = _both_ways(build("fomaml", encoder=toys.Smooth(), lr=0.5).double())
    with pytest.raises(AssertionError, match="not close"):
        torch.testing.assert_close(backward, differences, **CLOSE)


def _both_ways(learner: Learner) -> tuple[dict, dict]:
    episode = _episode()
    learner.train().meta_loss(episode).backward()
    backward = {name: p.grad for name, p in learner.named_parameters()}
    return backward, {n: _differences(learner, p, episode) for n, p in learner.named_parameters()}


def _differences(learner: Learner, parameter: torch.Tensor, episode: Episode) -> torch.Tensor:
    slope = torch.zeros_like(parameter)
    flat = parameter.data.view(-1)
    for i in range(len(flat)):
        here = flat[i].item()
        ends = []
        for there in (here + STEP, here - STEP):
            flat[i] = there
            ends.append(learner.meta_loss(episode).item())
        flat[i] = here
        slope.view(-1)[i] = (ends[0] - ends[1]) / (2 * STEP)
    return slope


def _episode() -> Episode:
    support, query = (
        Examples(torch.rand(n, 1, 2, 2, dtype=torch.float64), torch.arange(n) % 3) for n in (6, 9)
    )
    return Episode(Classification(3), support, query)
