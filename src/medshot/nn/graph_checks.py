"""A graph of ONNX that came from a file, looked at before it is run."""

from collections.abc import Iterator
from typing import Any

from medshot.core.errors import SaveError
from medshot.core.extras import needed

MOST_BYTES = 2**30
EXTERNAL = 1  # as ONNX numbers places: the numbers of a tensor lie in another file
REPAIR = "Copy the model again from where it was made, or make it again."


def checked(data: bytes) -> bytes:
    """`data`, a graph in ONNX's format with one input and one output, that reads no other file.

    Raises:
        ConfigError: onnx is not installed.
        SaveError: it is none, or reads files, or is too large.
    """
    onnx = needed("onnx", extra="onnx")
    needed("onnx.checker", extra="onnx")
    if len(data) > MOST_BYTES:
        raise SaveError(f"A graph of {len(data)} bytes is more than {MOST_BYTES} can be. {REPAIR}")
    try:
        model = onnx.load_model_from_string(data)
        outside = next((t for t in _tensors(model.graph) if t.data_location == EXTERNAL), None)
        if outside is None and not model.functions:
            onnx.checker.check_model(model)
    except Exception as error:  # protobuf and ONNX raise classes of their own
        said = str(error).strip().partition("\n")[0]
        raise SaveError(f"The ONNX graph is damaged ({said}). {REPAIR}") from error
    if outside is not None:
        raise SaveError(
            f"The ONNX graph reads the file of its tensor {outside.name!r} from the disk, which a "
            f"model of ours never does: it is not opened. {REPAIR}"
        )
    if len(model.graph.input) != 1 or len(model.graph.output) != 1 or model.functions:
        raise SaveError(
            f"The ONNX graph has {len(model.graph.input)} inputs, {len(model.graph.output)} outputs"
            f" and {len(model.functions)} functions; one, one and none are needed. {REPAIR}"
        )
    return data


def _tensors(graph: Any) -> Iterator[Any]:
    """All tensors whose numbers the graph holds, or says where to find, also in its branches."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)
