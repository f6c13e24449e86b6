"""Means taken one axis after the other: the same means, summed more exactly."""

import numpy as np
import pytest
from onnx import TensorProto, checker, helper

from medshot.nn.onnx import means_by_axis, session_of


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
