"""Graphs that came from a file: damaged ones, and those that reach for other files."""

import pytest
from onnx import TensorProto, helper

from medshot.core.errors import SaveError
from medshot.nn import onnx
from medshot.nn.onnx import checked
from toys.graphs import graph


def test_a_sound_graph_is_given_back():
    data = graph().SerializeToString()
    assert checked(data) == data


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: d[: len(d) // 2], lambda d: b"x" * 99])
def test_damaged_bytes_are_refused(damage):
    with pytest.raises(SaveError, match=r"damaged|inputs"):
        checked(damage(graph().SerializeToString()))


def test_a_tensor_in_another_file_is_refused_and_the_file_not_opened():
    model = graph()
    _reach_out(model.graph.initializer[0])
    with pytest.raises(SaveError, match="'weight' from another file"):
        checked(model.SerializeToString())


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
        checked(model.SerializeToString())


def test_two_inputs_are_refused():
    model = graph()
    model.graph.input.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [1]))
    with pytest.raises(SaveError, match="has 2 inputs, 1 outputs"):
        checked(model.SerializeToString())


def test_a_huge_one_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(onnx, "MOST_BYTES", 10)
    with pytest.raises(SaveError, match="bytes, more than the limit of 10"):
        checked(graph().SerializeToString())


def _reach_out(tensor: TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
