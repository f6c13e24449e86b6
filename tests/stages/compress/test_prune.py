"""Pruning leaves the original as it is, loses little, and refuses what it cannot do."""

import copy
import math
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch
from torch import nn

import toys
from medshot.core.episode import Examples
from medshot.core.errors import ConfigError, DataError, SaveError, ShapeError, TaskError
from medshot.core.predictor import load_predictor
from medshot.learners.registry import build
from medshot.nn.heads import Linear
from medshot.stages.compress.imitation import batched_outputs
from medshot.stages.compress.prune import Net, prune, remove_channels
from toys.networks import classifier, n_parameters, segmenter


def _images(n: int = 24) -> Examples:
    return Examples(toys.images(n), torch.zeros(n, dtype=torch.int64))


@pytest.mark.parametrize("made", [classifier, segmenter])
def test_it_learns_to_answer_as_before_and_is_saved(made, tmp_path):
    original, shown = made(), _images()
    before = batched_outputs(original, shown.x)
    cut, taught = (prune(original, shown, 0.5, steps=steps) for steps in (0, 60))
    task = original.card.task
    worse, better = (
        float(task.divergence(batched_outputs(p, shown.x), before, 2.0)) for p in (cut, taught)
    )
    nothing = float(task.divergence(torch.zeros_like(before), before, 2.0))
    assert 0 < better < 0.7 * worse < 0.7 * nothing
    assert torch.equal(batched_outputs(original, shown.x), before)
    assert n_parameters(taught) < 0.35 * n_parameters(original)
    assert taught.card.stages[-1] == {
        "stage": "prune",
        "share": 0.5,
        "steps": 60,
        "lr": 1e-3,
        "images": 24,
    }
    loaded = load_predictor(taught.save(tmp_path / "model"))
    assert torch.equal(loaded(shown.x), taught(shown.x))
    again = prune(loaded, shown, 0.5, teacher=original, steps=2)
    assert n_parameters(again) < 0.6 * n_parameters(taught)
    assert [stage["stage"] for stage in again.card.stages] == ["prune", "prune"]


def test_a_loaded_folder_comes_in_the_form_that_the_predictor_takes():
    original = build("maml", encoder=toys.conv4(width=16)).adapt(toys.dataset())
    small = prune(original, toys.dataset(channels=3, size=20), 0.5, steps=1)
    assert n_parameters(small) < 0.35 * n_parameters(original)


def test_what_was_cut_short_goes_on(tmp_path):
    original, shown = classifier(), _images()
    straight = prune(original, shown, 0.5, steps=6)

    @contextmanager
    def watch(steps, done):
        def tick(step, row):
            if step == 3:
                raise KeyboardInterrupt

        yield tick

    with pytest.raises(KeyboardInterrupt):
        prune(original, shown, 0.5, steps=6, folder=tmp_path, watch=watch)
    resumed = prune(original, shown, 0.5, steps=6, folder=tmp_path)
    torch.testing.assert_close(resumed(shown.x), straight(shown.x))
    with pytest.raises(ConfigError, match="begun with another share"):
        prune(original, shown, 0.75, steps=6, folder=tmp_path)
    with pytest.raises(ConfigError, match="begun with another images"):
        prune(original, _images(), 0.5, steps=6, folder=tmp_path)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0, math.nan])
def test_pruning_nothing_or_all_is_refused(share):
    with pytest.raises(ConfigError, match=r"nothing would be left. Take one above 0 and below 1"):
        prune(classifier(), _images(), share)


def test_bad_images_are_refused():
    with pytest.raises(DataError, match="1 image to learn from"):
        prune(classifier(), _images(1))
    with pytest.raises(DataError, match="not finite"):
        prune(classifier(), Examples(toys.images(4) / 0, torch.zeros(4)))
    with pytest.raises(ShapeError, match="takes images of 1 x 16 x 16"):
        prune(classifier(), Examples(toys.images(4, size=20), torch.zeros(4)))


def test_a_transductive_predictor_and_one_without_a_card_are_refused():
    with pytest.raises(TaskError, match="transductive"):
        prune(classifier(norm="transductive"), _images())
    encoder = toys.conv4()
    bare = Linear(encoder, torch.zeros(encoder.n_features, 3), torch.zeros(3))
    with pytest.raises(SaveError, match="labels"):
        prune(bare, _images())


def test_a_teacher_of_another_question_is_refused():
    for other in (classifier(2), segmenter(3), classifier(norm="transductive")):
        with pytest.raises(TaskError, match="Take a teacher that answers the same question"):
            prune(classifier(), _images(), 0.5, teacher=other)


# Depthwise and residual networks are cut right, and what cannot be cut is refused.


class Residual(nn.Module):
    """A stem, a block whose sum is added to its input, and one that is depthwise."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.inner = nn.Conv2d(8, 8, 3, padding=1)
        self.outer = nn.Conv2d(8, 8, 3, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.last = nn.Conv2d(8, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.stem(x).relu()
        z = z + self.outer(self.inner(z).relu())
        return self.last(self.depthwise(z).relu()).relu().mean((2, 3))


def _net() -> tuple[Net, torch.Tensor]:
    return Net(Residual(), nn.Linear(8, 3)).eval(), torch.rand(4, 1, 12, 12)


def test_what_is_added_goes_together():
    net, x = _net()
    whole = copy.deepcopy(net)
    remove_channels(net, x, 0.5, features_too=True)
    small = net.encoder
    assert small.stem.out_channels == small.outer.out_channels == 4
    assert small.depthwise.groups == small.depthwise.in_channels == 4
    kept = [int((whole.encoder.stem.bias == b).nonzero()) for b in small.stem.bias]
    both = [int((whole.encoder.outer.bias == b).nonzero()) for b in small.outer.bias]
    assert kept == both
    assert net(x).shape == whole(x).shape


def test_features_stay_unless_told():
    net, x = _net()
    remove_channels(net, x, 0.5, features_too=False)
    assert net.encoder.last.out_channels == net.head.in_features == 8
    assert net.encoder.last.in_channels == 4


def test_the_largest_share_leaves_a_channel_and_the_smallest_takes_one_or_is_refused():
    net, x = _net()
    remove_channels(net, x, 0.999, features_too=True)
    assert net.encoder.inner.out_channels == 1
    net, x = _net()
    with pytest.raises(ConfigError, match=r"0.1 takes no channel of any layer: take a larger"):
        remove_channels(net, x, 0.1, features_too=True)


def test_a_network_without_layers_to_cut_is_refused():
    encoder = nn.Flatten()
    with pytest.raises(TaskError, match="Flatten has no convolutions"):
        remove_channels(
            Net(encoder, nn.Linear(144, 2)), torch.rand(2, 1, 12, 12), 0.5, features_too=True
        )


def test_without_the_library_it_says_what_to_type():
    code = (
        "import sys; sys.modules['torch_pruning'] = None\n"
        "from medshot.stages.compress.prune import _library\n"
        "try: _library()\nexcept ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "medshot[compress]"' in done.stdout
