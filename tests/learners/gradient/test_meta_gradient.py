"""The meta-gradient of every exact learner, against central differences in float64.

Of a parameter with many entries some are tried, drawn at random, the same each time.
"""

import pytest
import torch
from torch import nn

import toys
from medshot.core.episode import Episode, Examples
from medshot.core.learner import Learner
from medshot.learners import build, learners
from medshot.tasks import Classification, Enhancement, Segmentation

STEP = 1e-5
TRIED = 5  # entries of a parameter
CLOSE = {"atol": 1e-7, "rtol": 1e-5}
EXACT = [(name, {}) for name, cls in learners().items() if cls.exact]
EXACT += [("prototypical", {"distance": d}) for d in ("mean-squared", "euclidean")]
EXACT += [(name, {"remat": True}) for name in ("maml", "meta-sgd", "maml++", "meta-gradient")]
EXACT += [("maml", {"way": 3}), ("lda", {"shrinkage": 0.5})]


@pytest.mark.parametrize(("name", "options"), EXACT)
def test_the_meta_gradient_is_exact(name, options):
    encoder = (
        toys.Smooth() if issubclass(Classification, learners()[name].supports) else SmoothGrid()
    )
    learner = build(name, encoder=encoder, **options).double()
    backward, differences = _both_ways(learner)
    assert max(d.abs().max() for d in differences.values()) > 1e-3
    torch.testing.assert_close(backward, differences, **CLOSE)


def test_a_first_order_gradient_is_not_so_that_this_test_can_fail():
    backward, differences = _both_ways(build("fomaml", encoder=toys.Smooth(), lr=0.5).double())
    with pytest.raises(AssertionError, match="not close"):
        torch.testing.assert_close(backward, differences, **CLOSE)


def _both_ways(learner: Learner) -> tuple[dict, dict]:
    episode = _asked_of(learner)
    rng = torch.Generator().manual_seed(0)
    learner.train().meta_loss(episode).backward()
    backward, differences = {}, {}
    for name, p in learner.named_parameters():
        tried = torch.randperm(p.numel(), generator=rng)[:TRIED]
        backward[name] = p.grad.view(-1)[tried]
        differences[name] = _differences(learner, p, tried.tolist(), episode)
    return backward, differences


def _differences(
    learner: Learner, parameter: torch.Tensor, tried: list[int], episode: Episode
) -> torch.Tensor:
    slopes, flat = [], parameter.data.view(-1)
    for i in tried:
        here = flat[i].item()
        ends = []
        for there in (here + STEP, here - STEP):
            flat[i] = there
            ends.append(learner.meta_loss(episode).item())
        flat[i] = here
        slopes.append((ends[0] - ends[1]) / (2 * STEP))
    return torch.tensor(slopes, dtype=parameter.dtype)


def _episode() -> Episode:
    support, query = (
        Examples(torch.rand(n, 1, 2, 2, dtype=torch.float64), torch.arange(n) % 3) for n in (6, 9)
    )
    return Episode(Classification(3), support, query)


def _asked_of(learner: Learner) -> Episode:
    if issubclass(Classification, learner.supports):
        return _episode()
    return _masks() if issubclass(Segmentation, learner.supports) else _pairs()


def _pairs() -> Episode:
    """Images and what they should have been."""
    support, query = (
        Examples(*(torch.rand(2, 1, 8, 8, dtype=torch.float64) for _ in range(2))) for _ in range(2)
    )
    return Episode(Enhancement(1), support, query)


def _masks() -> Episode:
    support, query = (
        Examples(torch.rand(n, 1, 8, 8, dtype=torch.float64), torch.randint(0, 3, (n, 8, 8)))
        for n in (2, 2)
    )
    return Episode(Segmentation(3), support, query)


class SmoothGrid(nn.Sequential):
    """A convolution and tanh that keep the grid."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh())
        self.n_features = 4
