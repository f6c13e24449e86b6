"""A predictor that is a graph: answers, copies, files, and what it refuses."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, checker, helper
from torch import nn

import toys
from medshot.core.errors import SaveError, ShapeError, TaskError
from medshot.core.predictor import load_predictor, unfreeze_copy
from medshot.nn import onnx
from medshot.nn.encoders.dncnn import DnCNN
from medshot.nn.onnx import (
    Graph,
    graph_of,
    means_by_axis,
    session_of,
    takes_any_sides,
    validated_graph,
)
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
    with pytest.raises(ShapeError, match=r"1 x 8 x 8 .* not 1 x 9 x 8"):
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
    with pytest.raises(TaskError, match=r"cannot be trained.*last"):
        unfreeze_copy(predictor)


def test_a_graph_that_onnx_runtime_cannot_run_is_refused():
    model = graph()
    model.graph.node[0].domain = "of.somebody"
    model.opset_import.add(domain="of.somebody", version=1)
    with pytest.raises(SaveError, match="cannot run the graph"):
        Graph.of(model)(torch.rand(1, 1, 8, 8))


def test_bytes_are_those_of_the_graph():
    assert Graph.of(graph()).bytes() == graph().SerializeToString()
    assert Graph.of(graph()).graph.dtype == torch.uint8
    assert (
        np.frombuffer(Graph.of(graph()).bytes(), np.uint8).size == Graph.of(graph()).graph.numel()
    )


# Graphs that came from a file: damaged ones, and those that reach for other files.


def test_a_sound_graph_is_given_back():
    data = graph().SerializeToString()
    assert validated_graph(data) == data


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: d[: len(d) // 2], lambda d: b"x" * 99])
def test_damaged_bytes_are_refused(damage):
    with pytest.raises(SaveError, match=r"damaged|inputs"):
        validated_graph(damage(graph().SerializeToString()))


def test_a_tensor_in_another_file_is_refused_and_the_file_not_opened():
    model = graph()
    _reach_out(model.graph.initializer[0])
    with pytest.raises(SaveError, match="'weight' from another file"):
        validated_graph(model.SerializeToString())


def test_a_tensor_in_another_file_is_found_in_a_branch_too():
    model, secret = graph(), helper.make_tensor("secret", TensorProto.FLOAT, [1], [0.0])
    _reach_out(secret)
    inner = helper.make_node("Constant", [], ["c"], value=secret)
    end = helper.make_tensor_value_info("c", TensorProto.FLOAT, [1])
    branch = helper.make_graph([inner], "branch", [], [end])
    model.graph.node.append(
        helper.make_node("If", ["y"], ["z"], then_branch=branch, else_branch=branch)
    )
    with pytest.raises(SaveError, match="'secret' from another file"):
        validated_graph(model.SerializeToString())


def test_two_inputs_are_refused():
    model = graph()
    model.graph.input.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [1]))
    with pytest.raises(SaveError, match="has 2 inputs, 1 outputs"):
        validated_graph(model.SerializeToString())


def test_a_huge_one_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(onnx, "MOST_BYTES", 10)
    with pytest.raises(SaveError, match="limit of 10"):
        validated_graph(graph().SerializeToString())


def _reach_out(tensor: TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


# Means taken one axis after the other: the same means, summed more exactly.


@pytest.mark.parametrize("axes", [[1, 2, 3], [3], [-1, -2]])
def test_the_mean_is_the_mean(axes):
    x = np.random.default_rng(0).random((2, 3, 64, 64), np.float32) + 1
    model = _mean(axes)
    means_by_axis(model)
    checker.check_model(model)
    assert [n.op_type for n in model.graph.node] == ["ReduceMean"] * len(axes)
    found = session_of(model.SerializeToString()).run(None, {"x": x})[0]
    expected = x.astype(np.float64).mean(tuple(axes), keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=2e-7)


def test_a_long_sum_is_more_exact_than_before():
    x = np.linspace(0.2, 1, 3 * 128 * 128, dtype=np.float32).reshape(1, 3, 128, 128)
    model, expected = _mean([1, 2, 3]), x.astype(np.float64).mean()
    before = session_of(model.SerializeToString()).run(None, {"x": x})[0]
    means_by_axis(model)
    after = session_of(model.SerializeToString()).run(None, {"x": x})[0]
    assert abs(after - expected) < abs(before - expected) / 2


def test_axes_that_go_are_left_alone():
    model = _mean([1, 2], keepdims=0)
    means_by_axis(model)
    assert len(model.graph.node) == 1


def _mean(axes, keepdims=1):
    constant = helper.make_tensor("axes", TensorProto.INT64, [len(axes)], axes)
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], "mean", keepdims=keepdims)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])
    sides = ["n", "c", "h", "w"][: 4 if keepdims else 2]
    found = helper.make_tensor_value_info("y", TensorProto.FLOAT, sides)
    graph = helper.make_graph([node], "mean", [given], [found], [constant])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


# A network written as a graph: the same numbers, for any number of images, and no traces.


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

    with pytest.raises(TaskError, match=r"Decides.*medshot predict"):
        graph_of(Decides(), toys.images(2))
