"""A network written as a graph: the same numbers, for any number of images, and no traces."""

import pytest
import torch
from torch import nn

import toys
from medshot.core.errors import TaskError
from medshot.nn.encoders.dncnn import DnCNN
from medshot.nn.onnx import Graph, graph_of, takes_any_sides


def test_it_gives_the_same_numbers_for_any_number_of_images_and_says_nothing(recwarn, capfd):
    module = toys.conv4()
    model = graph_of(module, toys.images(2))
    for n in (1, 5):
        x = toys.images(n)
        torch.testing.assert_close(Graph.of(model)(x), module(x), atol=1e-5, rtol=1e-5)
    assert not list(recwarn)
    assert capfd.readouterr().err == ""


def test_nothing_in_it_says_where_it_was_made():
    data = graph_of(toys.conv4(), toys.images(2)).SerializeToString()
    for trace in (b"/src/", b"site-packages", b".py", b"stack_trace", b"aten."):
        assert trace not in data


def test_sides_are_free_where_the_encoder_takes_any():
    module = DnCNN(channels=1, size=toys.SIZE, width=8, depth=2).eval()
    nn.init.normal_(module.noise.weight)
    assert takes_any_sides(module)
    assert not takes_any_sides(toys.conv4())
    model = graph_of(module, toys.images(2), any_sides=True)
    x = torch.rand(1, 1, 9, 21)
    torch.testing.assert_close(Graph.of(model)(x), module(x), atol=1e-5, rtol=1e-5)


def test_what_no_graph_holds_is_refused():
    class Decides(nn.Module):
        def forward(self, x):
            return x if x.sum().item() > 0 else -x

    with pytest.raises(TaskError, match=r"Decides cannot be written .*medshot predict"):
        graph_of(Decides(), toys.images(2))
