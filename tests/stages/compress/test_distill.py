"""A smaller network learns another's answers, whatever that other is."""

import pytest
import torch

import toys
from medshot.core.episode import Examples
from medshot.core.errors import ConfigError, DataError, TaskError
from medshot.core.predictor import Predictor, load_predictor
from medshot.nn import UNet
from medshot.stages.compress.distill import distill
from medshot.stages.compress.imitation import batched_outputs
from toys.networks import classifier, n_parameters, segmenter


def _images(n: int = 24) -> Examples:
    return Examples(toys.images(n), torch.zeros(n, dtype=torch.int64))


class Brightest(Predictor):
    """Which of three thirds of an image is the brightest, with no slope anywhere."""

    def forward(self, x):
        thirds = torch.stack([part.mean((1, 2, 3)) for part in x.tensor_split(3, 3)], 1)
        return 4 * torch.nn.functional.one_hot(thirds.argmax(1), 3).to(x)


def _with_a_bright_third(n: int) -> Examples:
    x, y = 0.5 * torch.rand(n, 1, 16, 16), torch.arange(n) % 3
    for i, third in enumerate(y):
        x[i].tensor_split(3, 2)[third].add_(0.3)
    return Examples(x, y)


def test_what_cannot_be_differentiated_can_be_imitated():
    teacher = Brightest().with_card(toys.card(3))
    shown, new = _with_a_bright_third(48), _with_a_bright_third(60)
    into = toys.conv4(scaling="centre")
    first, last = (distill(teacher, shown, into, steps=steps, lr=0.01) for steps in (0, 160))
    right = [
        float((batched_outputs(p, new.x).argmax(1) == new.y).double().mean()) for p in (first, last)
    ]
    assert right[0] < 0.5
    assert right[1] > 0.8


@pytest.mark.parametrize("made", [classifier, segmenter])
def test_small_is_of_the_same_family_and_nearer_than_nothing(made, tmp_path):
    original, shown = made(width=32), _images()
    before = batched_outputs(original, shown.x)
    small = distill(original, shown, "small", steps=40, lr=3e-3)
    assert n_parameters(small) < 0.35 * n_parameters(original)
    assert type(small.encoder) is type(original.encoder)
    task = original.card.task
    apart = float(task.divergence(batched_outputs(small, shown.x), before, 2.0))
    assert 0 < apart < 0.9 * float(task.divergence(torch.zeros_like(before), before, 2.0))
    assert torch.equal(batched_outputs(original, shown.x), before)
    assert small.card.stages[-1]["into"] == "small"
    loaded = load_predictor(small.save(tmp_path / "model"))
    assert torch.equal(loaded(shown.x), small(shown.x))


def test_the_same_seed_gives_the_same_student():
    original, shown = classifier(width=32), _images()
    a, b, c = (distill(original, shown, "tiny", steps=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(a(shown.x), b(shown.x))
    assert not torch.equal(a(shown.x), c(shown.x))


def test_what_cannot_be_taught_is_refused():
    with pytest.raises(DataError, match="1 image to learn from"):
        distill(classifier(width=32), _images(1))
    with pytest.raises(TaskError, match="transductive"):
        distill(classifier(width=32, norm="transductive"), _images())
    with pytest.raises(ConfigError, match="no width that 'small' could make less"):
        distill(classifier(width=8), _images())
    with pytest.raises(ConfigError, match=r"no size to distil into called 'smal'.*'small'"):
        distill(classifier(width=32), _images(), "smal")
    with pytest.raises(TaskError, match="encoder is transductive"):
        distill(classifier(), _images(), toys.conv4(norm="transductive"))
    with pytest.raises(TaskError, match="another grid than the answers"):
        distill(classifier(), _images(), UNet(channels=1, size=16, width=8, depth=1))
