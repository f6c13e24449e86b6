"""What was learned from labels of whole images serves masks: the same weights at each pixel."""

import pytest
import torch

import medshot
import toys
from medshot.core.errors import ConfigError, TaskError
from medshot.learners import build
from medshot.learners.to_grid import on_grid
from medshot.nn.encoders.adapters import Hypercolumns
from medshot.tasks import Segmentation


def test_a_column_holds_the_pixel_and_what_each_block_saw_there():
    inner = toys.conv4()
    net = Hypercolumns(encoder=inner, size=32).eval()
    x = torch.rand(2, 1, 32, 32)
    z = net(x)
    assert z.shape == (2, net.n_features, 32, 32)
    torch.testing.assert_close(z[:, :1], net.scaled(x))
    maps = inner.blocks[0](net.scaled(x))
    even = maps / (maps.square().mean(1, keepdim=True) + 1e-4).sqrt()
    wide = torch.nn.functional.interpolate(even, (32, 32), mode="bilinear")
    torch.testing.assert_close(z[:, 1 : 1 + maps.shape[1]], wide)


@pytest.mark.parametrize("name", ["prototypical", "ridge", "fomaml", "linear-probe"])
def test_a_learner_of_labels_becomes_one_of_masks_with_its_weights(name):
    learner = build(name, encoder=toys.conv4())
    if name == "ridge":
        learner.log_penalty.data.fill_(-3.0)
    other = on_grid(learner, size=16)
    torch.testing.assert_close(
        other.encoder.encoder.state_dict(), dict(learner.encoder.state_dict())
    )
    if name == "ridge":
        assert other.log_penalty.item() == -3.0
    ep = toys.episode(Segmentation(3))
    one = type(ep.support)(ep.support.x[:, :1], ep.support.y)
    assert other.adapt(one, ep.task)(ep.query.x[:, :1]).shape == (5, 3, 16, 16)


def test_a_predictor_on_columns_is_saved_and_read(tmp_path):
    ep = toys.episode(Segmentation(2))
    learner = on_grid(build("prototypical", encoder=toys.conv4()), size=16)
    predictor = learner.adapt(type(ep.support)(ep.support.x[:, :1], ep.support.y), ep.task).freeze()
    predictor.with_card(toys.card(2)).save(tmp_path / "model")
    again = medshot.load_predictor(tmp_path / "model")
    x = ep.query.x[:, :1]
    torch.testing.assert_close(again(x), predictor(x))


def test_what_cannot_be_laid_on_the_grid_is_refused():
    with pytest.raises(TaskError, match="cannot be converted to masks"):
        on_grid(build("matching", encoder=toys.conv4()))
    with pytest.raises(ConfigError, match="no blocks"):
        on_grid(build("prototypical", encoder=toys.Projection()))
