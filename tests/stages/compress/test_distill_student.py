"""Small is half as wide, tiny a quarter; widths can be normalised by group."""

import pytest
import torch

import toys
from medshot.core.errors import ConfigError, TaskError
from medshot.nn import UNet
from medshot.nn.encoders.dncnn import DnCNN
from medshot.nn.encoders.filters import Filters
from medshot.nn.encoders.identity import Pixels
from medshot.nn.heads import Linear
from medshot.stages.compress.distill import student_for
from medshot.stages.compress.prune import cut
from medshot.stages.fuse.fuse import mean_of
from medshot.tasks import Enhancement, Segmentation
from medshot.tasks.classification import Classification
from toys.networks import classifier, segmenter


def _width(original, into):
    task = original.card.task
    return student_for(original, toys.images(2), task, into).encoder


@pytest.mark.parametrize(("into", "width"), [("small", 24), ("tiny", 8)])
def test_the_width_is_divided_and_a_multiple_of_the_groups(into, width):
    assert _width(classifier(width=48), into).blocks[0][0].out_channels == width
    assert _width(segmenter(width=48), into).down[0][0].out_channels == width


def test_of_a_pruned_network_it_is_the_width_before():
    original = classifier(width=32)
    pruned = cut(original, toys.images(), 0.5).with_card(original.card)
    assert _width(pruned, "small").blocks[0][0].out_channels == 16


def test_it_begins_with_what_the_task_knows():
    encoder = DnCNN(channels=1, size=16, width=16, depth=3).eval()
    original = Linear(encoder, torch.eye(17, 1), torch.zeros(1))
    x = toys.images()
    found = student_for(original, x, Enhancement(1), "small")
    torch.testing.assert_close(found(x), x)
    with pytest.raises(TaskError, match="starts from the image itself"):
        student_for(original, x, Enhancement(1), UNet(channels=1, size=16, width=8, depth=1))


def test_an_encoder_that_is_given_stays_as_it_is():
    encoder = toys.conv4()
    found = student_for(classifier(), toys.images(), Classification(3), encoder)
    assert found.encoder is not encoder
    assert found(toys.images()).shape == (6, 3)


@pytest.mark.parametrize(("into", "width"), [("small", 16), ("tiny", 8)])
def test_of_what_has_no_width_a_narrow_network_of_the_usual_kind_is_made(into, width):
    x = toys.images()
    original = Linear(Pixels(channels=1, size=16), torch.zeros(256, 3), torch.zeros(3))
    made = student_for(original, x, Classification(3), into)
    assert made(x).shape == (6, 3)
    assert made.encoder.blocks[0][0].out_channels == width
    on_grid = Linear(Filters(channels=1, size=16), torch.zeros(13, 3), torch.zeros(3))
    f = on_grid.encoder(x).shape[1]
    on_grid = Linear(on_grid.encoder, torch.zeros(f, 3), torch.zeros(3))
    masks = student_for(on_grid, x, Segmentation(3), into)
    assert isinstance(masks.encoder, UNet)
    assert masks(x).shape == (6, 3, 16, 16)
    several = mean_of([original, original], [toys.card(3), toys.card(3)])
    assert student_for(several, x, Classification(3), into)(x).shape == (6, 3)


def test_a_width_that_cannot_be_less_says_what_to_do():
    with pytest.raises(ConfigError, match=r"conv4 with encoder.width=8"):
        student_for(classifier(width=8), toys.images(), Classification(3), "small")
