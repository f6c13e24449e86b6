"""A predictor that is a graph: answers, copies, files, and what it refuses."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import toys
from medshot.core.errors import SaveError, ShapeError, TaskError
from medshot.core.predictor import load_predictor, trainable
from medshot.nn.onnx import Graph
from toys.graphs import WEIGHT, graph


def _slow(x: torch.Tensor) -> torch.Tensor:
    maps = F.conv2d(x.double(), torch.from_numpy(WEIGHT).double(), padding=1)
    return maps.relu().mean((2, 3)).to(x.dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_answers_as_its_graph_does_in_the_type_of_the_images(dtype):
    x = torch.rand(5, 1, 8, 8, dtype=dtype)
    predictor = Graph.of(graph())
    torch.testing.assert_close(predictor(x), _slow(x), atol=1e-6, rtol=1e-5)
    alone = torch.cat([predictor(one[None]) for one in x])
    torch.testing.assert_close(alone, predictor(x), atol=1e-6, rtol=1e-5)


def test_images_of_another_form_are_refused_with_both_forms():
    with pytest.raises(ShapeError, match=r"images of 1 x 8 x 8 .* not 1 x 9 x 8"):
        Graph.of(graph())(torch.rand(1, 1, 9, 8))


def test_a_free_side_may_be_any():
    x = torch.rand(2, 1, 5, 5)
    torch.testing.assert_close(Graph.of(graph("side"))(x), _slow(x), atol=1e-6, rtol=1e-5)


def test_copies_and_files_give_the_same_numbers(tmp_path):
    x, predictor = torch.rand(3, 1, 8, 8), Graph.of(graph()).with_card(toys.card(3, size=8))
    expected = predictor(x)
    frozen = predictor.freeze()
    predictor.with_card(toys.card(3, size=8)).save(tmp_path / "model")
    loaded = load_predictor(tmp_path / "model")
    predictor.graph.zero_()
    for other in (frozen, loaded):
        torch.testing.assert_close(other(x), expected, rtol=0, atol=0)


def test_whoever_needs_a_gradient_is_told_so():
    predictor = Graph.of(graph())
    with pytest.raises(TaskError, match="No gradient goes through"):
        predictor(torch.rand(1, 1, 8, 8).requires_grad_())
    with pytest.raises(TaskError, match=r"This model cannot be trained.*quantize last"):
        trainable(predictor)


def test_a_graph_that_onnx_runtime_cannot_run_is_refused():
    model = graph()
    model.graph.node[0].domain = "of.somebody"
    model.opset_import.add(domain="of.somebody", version=1)
    with pytest.raises(SaveError, match="ONNX Runtime cannot run the graph"):
        Graph.of(model)(torch.rand(1, 1, 8, 8))


def test_bytes_are_those_of_the_graph():
    assert Graph.of(graph()).bytes() == graph().SerializeToString()
    assert Graph.of(graph()).graph.dtype == torch.uint8
    assert (
        np.frombuffer(Graph.of(graph()).bytes(), np.uint8).size == Graph.of(graph()).graph.numel()
    )
