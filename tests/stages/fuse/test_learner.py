"""Several learners as one: weighed out of fold, so a guesser that remembers gets no weight."""

import pytest
import torch

import medshot
import toys
from medshot.core.errors import ConfigError, TaskError
from medshot.core.learner import Learner
from medshot.evaluation.cross_validation import cross_validate
from medshot.learners.registry import build
from medshot.nn import UNet
from toys.ensembles import bars, loss, masked


def _candidates(**other):
    torch.manual_seed(0)
    return [
        build("nearest-centroid", encoder=toys.conv4()),
        build("linear-probe", encoder=toys.conv4(**other)),
    ]


@pytest.mark.parametrize("how", ["mean", "weighted", "stack"])
def test_it_is_a_learner_like_any_other(how, tmp_path):
    data, new = bars(6, seed=0), bars(8, seed=3, name="new")
    learner = medshot.EnsembleOf(_candidates(), how=how).eval()
    found = learner.adapt(data)
    x = new.examples().x
    assert torch.equal(medshot.load_predictor(found.save(tmp_path / "model"))(x), found(x))
    assert torch.equal(learner.adapt(data)(x), found(x))
    assert cross_validate(learner, data).interval("balanced accuracy").mean > 1 / 3


class Remembers(Learner):
    """Right about what it saw, and sure and wrong about anything else."""

    supports = (medshot.Classification,)
    source = "nobody"

    def __init__(self) -> None:
        super().__init__()
        self.encoder = toys.Projection(256, 4)

    def learn(self, support, task):
        return Recalls(support.x, 9 * torch.eye(task.n_outputs)[support.y])


class Recalls(medshot.Predictor):
    def __init__(self, x, rows):
        super().__init__()
        self.x, self.rows = x, rows

    def forward(self, x):
        away = torch.cdist(x.flatten(1), self.x.flatten(1))
        near, which = away.min(1)
        known = (near < 1e-3)[:, None]
        return torch.where(known, self.rows[which], self.rows[which].roll(1, 1))


def test_who_only_remembers_gets_no_weight():
    data = bars(8, seed=0, noise=100).examples()
    candidates = [_candidates()[1], Remembers()]
    found = medshot.EnsembleOf(candidates).eval().adapt(data, medshot.Classification(3))
    assert found.scores.softmax(0)[0] > 0.8


def test_learners_of_other_sizes_see_the_images_in_their_form(tmp_path):
    data = bars(6, seed=0)
    learner = medshot.EnsembleOf(_candidates(size=32, channels=3)).eval()
    found = learner.adapt(data)
    form = found.known_card().preprocessing
    assert (form.channels, form.size) == (3, 32)
    x = toys.images(channels=3, size=32)
    assert torch.equal(medshot.load_predictor(found.save(tmp_path / "model"))(x), found(x))


def test_masks(tmp_path):
    torch.manual_seed(0)
    encoders = [UNet(channels=1, size=16, width=8, depth=2).eval() for _ in range(2)]
    learner = medshot.EnsembleOf([build("prototypical", encoder=e) for e in encoders]).eval()
    data = masked(6, seed=0)
    found = learner.adapt(data)
    assert loss(found, data) < 1.2
    found.save(tmp_path / "model")


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="at least two learners"):
        medshot.EnsembleOf(_candidates()[:1])
    with pytest.raises(ConfigError, match=r"'soup'.*weighted"):
        medshot.EnsembleOf(_candidates(), how="soup")
    task = toys.task_of("detection")
    with pytest.raises(TaskError, match="cannot be averaged"):
        medshot.EnsembleOf(_candidates()).adapt(toys.episode(task).support, task)
