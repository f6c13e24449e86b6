"""Graphs of ONNX written by hand: one convolution, its ReLU, and the mean over the image."""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

FEATURES = 3
rng = np.random.default_rng(0)
WEIGHT = rng.normal(size=(FEATURES, 1, 3, 3)).astype(np.float32)


def graph(size: int | str = 8) -> ModelProto:
    """Images `n 1 size size` to `n 3`; a `size` that is text is free."""
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["map"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["map"], ["seen"], "relu"),
        helper.make_node("ReduceMean", ["seen", "axes"], ["y"], "mean", keepdims=0),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", ["n", 1, size, size]), ("y", ["n", FEATURES]))
    ]
    constants = [numpy_helper.from_array(WEIGHT, "weight"), axes]
    made = helper.make_graph(nodes, "toy", ends[:1], ends[1:], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
