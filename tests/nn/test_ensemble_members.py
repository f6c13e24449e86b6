"""Members see images in the form that they were learned on."""

import torch

import toys
from medshot.data.transforms import resized
from medshot.learners.registry import build
from medshot.nn.ensemble import EnsembleMembers, in_form


def test_images_are_brought_in_form_as_a_data_set_brings_them():
    x = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    found = in_form(x / 255, (1, 16))
    torch.testing.assert_close(found, resized(x, 1, 16) / 255, atol=2 / 255, rtol=0)
    grey = torch.rand(2, 1, 16, 16)
    assert torch.equal(in_form(grey, (3, 16)), grey.expand(-1, 3, -1, -1))
    assert in_form(grey, ()) is grey


def test_each_member_answers_what_it_is_asked_in_its_own_form():
    small = build("nearest-centroid", encoder=toys.conv4()).adapt(toys.dataset())
    wide = toys.conv4(channels=3, size=32)
    large = build("nearest-centroid", encoder=wide).adapt(toys.dataset(channels=3, size=32))
    x = toys.images(channels=3, size=32)
    found = EnsembleMembers([small, large], [(1, 16), (3, 32)]).said(x)
    torch.testing.assert_close(found[0], small(in_form(x, (1, 16))))
    torch.testing.assert_close(found[1], large(x))


def test_answers_for_sites_are_on_the_grid_of_the_largest():
    torch.manual_seed(0)
    task = toys.task_of("segmentation")
    shown = toys.episode(task).support
    small = build("prototypical", encoder=toys.encoder(task)).adapt(shown, task)
    x = torch.rand(2, 8, 32, 32)
    found = EnsembleMembers([small], [(8, 16)]).said(x)
    assert found.shape == (1, 2, 3, 32, 32)
    torch.testing.assert_close(
        found[0, :, :, ::2, ::2].mean(), small(in_form(x, (8, 16))).mean(), atol=0.1, rtol=0.1
    )
