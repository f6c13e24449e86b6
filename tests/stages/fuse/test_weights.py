"""Stacking learns what a mean cannot, and falls back on the mean."""

import torch

from medshot.nn.ensemble import stacked
from medshot.stages.fuse.weights import fit_map, plain_map
from medshot.tasks import Classification


def test_a_member_that_mixes_two_classes_up_is_read_rightly():
    torch.manual_seed(0)
    y, groups = torch.arange(2).repeat(30), torch.arange(60)
    turned = 4 * torch.eye(2)[1 - y].double() + torch.randn(60, 2)
    noise = torch.randn(60, 2).double()
    outputs, task = torch.stack([turned, noise]), Classification(2)
    mean = stacked(outputs, *(t.double() for t in plain_map(2, 2)), "softmax")
    weight, bias = fit_map(outputs, y, groups, task)
    found = stacked(outputs, weight.double(), bias.double(), "softmax")
    assert (mean.argmax(1) == y).double().mean() < 0.2
    assert (found.argmax(1) == y).double().mean() > 0.9


def test_where_nothing_can_be_left_out_it_stays_near_the_mean():
    outputs = torch.randn(2, 2, 2, dtype=torch.float64)
    weight, bias = fit_map(outputs, torch.tensor([0, 1]), torch.tensor([-1, -1]), Classification(2))
    mean, zero = plain_map(2, 2)
    assert (weight - mean).abs().max() < 0.1
    assert (bias - zero).abs().max() < 0.1


def test_the_plain_map_is_the_mean():
    outputs = torch.randn(3, 5, 4)
    found = stacked(outputs, *plain_map(3, 4), "identity")
    torch.testing.assert_close(found, outputs.mean(0))
