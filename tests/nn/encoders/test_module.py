"""Any network is an encoder."""

import pytest
import torch
from torch import nn

import medshot
import toys
from medshot.core.errors import SaveError
from medshot.nn.encoders.module import AnyNetwork, as_encoder


def _net(*after, channels=1):
    return nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1, stride=2), nn.ReLU(), *after)


@pytest.mark.parametrize(
    ("net", "channels", "size", "n_features"),
    [
        (_net(channels=3), 3, None, 4),
        (_net(nn.AdaptiveAvgPool2d(2), nn.Flatten()), 1, None, 16),
        (_net(nn.Flatten(), nn.Linear(4 * 14 * 14, 7)), 1, 28, 7),
        (_net(nn.Flatten()), 1, 64, 4 * 32 * 32),
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5)), 3, 32, 5),
        (_net(nn.Flatten(2)), 1, 64, 32 * 32),
    ],
)
def test_the_form_is_found_by_passing_images(net, channels, size, n_features):
    found = as_encoder(net)
    assert (found.channels, found.size, found.n_features) == (channels, size, n_features)
    assert not found.keeps_grid
    assert found(torch.rand(2, channels, size or 40, size or 40)).shape == (2, n_features)


def test_a_map_of_the_size_of_the_image_does_masks():
    found = as_encoder(nn.Conv2d(3, 6, 3, padding=1))
    assert found.keeps_grid
    assert found(torch.rand(2, 3, 10, 10)).shape == (2, 6, 10, 10)


def test_what_says_its_form_or_takes_no_images_is_left_as_it_is():
    for module in (toys.conv4(), nn.Identity(), nn.Embedding(3, 3)):
        assert as_encoder(module) is module


@pytest.mark.parametrize("name", ["prototypical", "maml", "relation", "linear-probe"])
def test_learners_take_it_and_saving_says_what_to_do(tmp_path, name):
    predictor = medshot.build(name, encoder=_net()).adapt(toys.dataset())
    assert predictor(torch.rand(3, 1, 16, 16)).shape[0] == 3
    with pytest.raises(SaveError, match="Sequential cannot be saved"):
        predictor.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_adapt_reports_on_it(tmp_path):
    done = medshot.adapt(toys.dataset(), medshot.build("prototypical", encoder=_net()))
    assert "prototypical on Sequential" in done.report.metrics.methods
    assert "balanced accuracy" in str(medshot.cross_validate(toys.dataset(), "lda"))


def test_a_registered_network_is_saved_with_the_predictor(tmp_path):
    @medshot.part("encoder", "toy-of-mine")
    class Mine(nn.Module):
        def __init__(self, *, width: int = 4) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, width, 3)

        def forward(self, x):
            return self.layer(x).mean((2, 3))

    learner = medshot.build("prototypical", encoder=Mine(width=5))
    assert isinstance(learner.encoder, AnyNetwork)
    predictor = learner.adapt(toys.dataset())
    again = medshot.load_predictor(predictor.save(tmp_path / "model"))
    x = torch.rand(3, 1, 16, 16)
    assert torch.equal(again(x), predictor(x))
