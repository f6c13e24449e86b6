"""ONNX export of networks, and inference-only predictors on ONNX Runtime.

A graph loaded from a file is validated before it is run. Means over several axes are exported
one axis at a time: ONNX Runtime sums sequentially, which over a whole image is less accurate
than PyTorch's pairwise sum.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, UInt8, config
from torch import Tensor, nn

from medshot.core import Predictor, SaveError, ShapeError, TaskError, called, needed, part
from medshot.nn.encoder import Encoder

MOST_BYTES = 2**30
EXTERNAL = 1  # TensorProto.EXTERNAL: the tensor's data is in another file
REPAIR = "Copy the model again from its source, or export it again."


def validated_graph(data: bytes) -> bytes:
    """Validate `data`, an ONNX graph with one input, one output and no external data.

    Returns `data`.

    Raises:
        ConfigError: onnx is not installed.
        SaveError: not such a graph, or too large.
    """
    onnx = needed("onnx", extra="onnx")
    needed("onnx.checker", extra="onnx")
    if len(data) > MOST_BYTES:
        raise SaveError(
            f"The ONNX graph has {len(data)} bytes, more than the limit of {MOST_BYTES}. {REPAIR}"
        )
    try:
        model = onnx.load_model_from_string(data)
        outside = next((t for t in _tensors(model.graph) if t.data_location == EXTERNAL), None)
        if outside is None and not model.functions:
            onnx.checker.check_model(model)
    except Exception as error:  # protobuf and ONNX raise classes of their own
        cause = str(error).strip().partition("\n")[0]
        raise SaveError(f"The ONNX graph is damaged ({cause}). {REPAIR}") from error
    if outside is not None:
        raise SaveError(
            f"The ONNX graph reads its tensor {outside.name!r} from another file, which medshot's "
            f"models never do; it was not opened. {REPAIR}"
        )
    if len(model.graph.input) != 1 or len(model.graph.output) != 1 or model.functions:
        raise SaveError(
            f"The ONNX graph has {len(model.graph.input)} inputs, {len(model.graph.output)} outputs"
            f" and {len(model.functions)} functions; it must have one, one and none. {REPAIR}"
        )
    return data


def _tensors(graph: Any) -> Iterator[Any]:
    """All tensors that the graph contains or references, including subgraphs."""
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


THREADS = 1  # as on a small machine


@part("predictor", "onnx")
class Graph(Predictor):
    """Inference-only predictor that runs its ONNX graph on one CPU thread.

    It has no gradients and no trainable parameters. The graph is validated before its first run:
    no external data, one input `n c *s` and one output.
    """

    exportable = False  # already exported: medshot.stages.export uses the graph itself
    differentiable: ClassVar[bool] = False
    graph: Tensor

    def __init__(self, graph: UInt8[Tensor, "bytes"]) -> None:
        super().__init__()
        self.register_buffer("graph", graph)
        self._running: tuple[Tensor, Any] | None = None

    @classmethod
    def of(cls, model: Any) -> "Graph":
        """From a `ModelProto`."""
        data = np.frombuffer(bytearray(model.SerializeToString()), np.uint8)
        return cls(torch.from_numpy(data))

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k ..."]:
        """Output of the graph, in the dtype of `x`.

        Raises:
            ShapeError: images of another shape than the graph takes.
            TaskError: a gradient is required.
        """
        if x.requires_grad and torch.is_grad_enabled():
            raise TaskError(
                "No gradient goes through a quantized predictor. Apply this stage to the model "
                "before quantization, and quantize last."
            )
        session = self._session()
        given = session.get_inputs()[0]
        _refuse_other_form(x, given.shape)
        images = x.detach().float().cpu().contiguous().numpy()
        (found,) = session.run(None, {given.name: images})
        return torch.from_numpy(found).to(x)

    def bytes(self) -> bytes:
        """The serialized ONNX graph."""
        return self.graph.cpu().numpy().tobytes()

    def _session(self) -> Any:
        if self._running is None or self._running[0] is not self.graph:
            self._running = (self.graph, session_of(validated_graph(self.bytes())))
        return self._running[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": None}  # sessions cannot be copied


def session_of(data: bytes) -> Any:
    """ONNX Runtime session for `data`, on one thread.

    Raises:
        ConfigError: onnxruntime is not installed.
        SaveError: it cannot run this graph.
    """
    runtime = needed("onnxruntime", extra="onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = THREADS
    options.log_severity_level = 3  # errors only
    try:
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base class
        cause = str(error).strip().partition("\n")[0]
        raise SaveError(f"ONNX Runtime cannot run the graph ({cause}). {REPAIR}") from error


def _refuse_other_form(x: Tensor, form: list[int | str]) -> None:
    fits = x.ndim == len(form) and all(
        isinstance(wanted, str) or wanted == n for n, wanted in zip(x.shape, form, strict=True)
    )
    if not fits:
        wanted, given = (" x ".join(map(str, shape[1:])) for shape in (form, tuple(x.shape)))
        raise ShapeError(f"This graph takes images of {wanted} (channels first), not {given}.")


INT64 = 7  # TensorProto.INT64


def means_by_axis(model: Any) -> None:
    """Replace, in a `ModelProto`, each mean over several known axes by single-axis means."""
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
    """Whether reduced axes are kept with size 1, ONNX's default."""
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


OPSET = 20  # supported by ONNX Runtime since 1.17 (2024)
INPUT, OUTPUT = "in/images", "out/output"  # a slash cannot occur in a module's attribute names


def graph_of(module: nn.Module, x: Float[Tensor, "n c *s"], *, any_sides: bool = False) -> Any:
    """Export `module` as an ONNX `ModelProto`, for any number of images like `x`.

    With `any_sides`, height and width (and depth) are dynamic too. The graph has no trace of the
    exporting machine: no paths, no source lines.

    Raises:
        ConfigError: the required packages are not installed.
        TaskError: the module cannot be expressed as an ONNX graph.
    """
    needed("onnxscript", extra="onnx")
    free = {0: torch.export.Dim.DYNAMIC}
    if any_sides:
        free |= dict.fromkeys(range(2, x.ndim), torch.export.Dim.DYNAMIC)
    try:
        with quietly("torch.onnx"), _unchecked(), torch.no_grad():
            program = torch.onnx.export(
                module.eval(),
                (x,),
                dynamo=True,
                dynamic_shapes=(free,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        cause = str(error.__cause__ or error).strip().partition("\n")[0]
        raise TaskError(
            f"{called(module)} cannot be written as an ONNX graph ({cause[:200]}). Keep "
            "the model's folder, and use it with `medshot predict`."
        ) from error
    model = program.model_proto  # type: ignore[union-attr]
    means_by_axis(model)
    _anonymous(model)
    return model


def takes_any_sides(module: nn.Module) -> bool:
    """Whether all encoders in `module` take images of any height and width."""
    encoders = [part for part in module.modules() if isinstance(part, Encoder)]
    return bool(encoders) and all(part.any_size or part.size is None for part in encoders)


def _anonymous(model: Any) -> None:
    """Remove the source lines that the exporter attaches to each node."""
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        noted.doc_string = ""
        del noted.metadata_props[:]


@contextmanager
def quietly(logger: str) -> Iterator[None]:
    """Suppress warnings and the messages of `logger`."""
    log = logging.getLogger(logger)
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


@contextmanager
def _unchecked() -> Iterator[None]:
    """Disable shape checks: an exporter traces them and treats the sizes as fixed."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)
