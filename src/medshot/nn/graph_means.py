"""Means in a graph, taken one axis after the other.

ONNX Runtime adds up what a mean is of in one row. Over a whole image that costs more digits than
PyTorch's sum by halves, and a scaled image is the first that feels it. In one axis there are few
numbers to add.
"""

from collections.abc import Iterator
from typing import Any

from medshot.core.extras import needed

INT64 = 7  # as ONNX numbers its types


def means_by_axis(model: Any) -> None:
    """Replace, in a `ModelProto`, each mean over several known axes by means over one axis."""
    numpy_helper = needed("onnx.numpy_helper", extra="onnx")
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        axes = constants.get(node.input[1]) if len(node.input) == 2 else None
        if node.op_type != "ReduceMean" or axes is None or not _keeps(node):
            nodes.append(node)
            continue
        several = sorted(numpy_helper.to_array(axes).tolist(), reverse=True)
        nodes += list(_one_by_one(model, node, several))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _keeps(node: Any) -> bool:
    """Whether the axes stay, of one site each: 1 is what ONNX takes where nothing is said."""
    return all(a.i == 1 for a in node.attribute if a.name == "keepdims")


def _one_by_one(model: Any, node: Any, axes: list[int]) -> Iterator[Any]:
    helper = needed("onnx.helper", extra="onnx")
    source, name = node.input[0], node.output[0]
    for i, axis in enumerate(axes):
        last = i == len(axes) - 1
        found, along = (name if last else f"{name}/{axis}"), f"{name}/along/{axis}"
        model.graph.initializer.append(helper.make_tensor(along, INT64, [1], [axis]))
        yield helper.make_node("ReduceMean", [source, along], [found], found, keepdims=1)
        source = found
