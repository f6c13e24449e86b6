"""Networks as ONNX graphs, and predictors that run them on ONNX Runtime (inference only).

A graph that came from a file is checked before it is run. Means over several axes are exported one
axis after the other: ONNX Runtime sums the elements of a mean in sequence, which over a whole image
costs more digits than PyTorch's pairwise sum.
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

from medshot.core.errors import SaveError, ShapeError, TaskError
from medshot.core.predictor import Predictor
from medshot.core.registry import called, needed, part
from medshot.nn.encoder import Encoder

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


THREADS = 1  # of a small machine


@part("predictor", "onnx")
class Graph(Predictor):
    """Answers as the graph does whose bytes it holds, on one thread of the processor.

    No gradient goes through it, and nothing in it can be trained. The graph is checked when it
    first answers: it reads no file, has one input `n c *s` and one output.
    """

    exportable = False  # it is exported already: medshot.stages.export takes the graph itself
    differentiable: ClassVar[bool] = False
    graph: Tensor

    def __init__(self, graph: UInt8[Tensor, "bytes"]) -> None:
        super().__init__()
        self.register_buffer("graph", graph)
        self._running: tuple[Tensor, Any] | None = None

    @classmethod
    def of(cls, model: Any) -> "Graph":
        """Of a `ModelProto`."""
        data = np.frombuffer(bytearray(model.SerializeToString()), np.uint8)
        return cls(torch.from_numpy(data))

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k ..."]:
        """What the graph says of the images, in their type.

        Raises:
            ShapeError: they are of another form than the graph takes.
            TaskError: a gradient is asked for.
        """
        if x.requires_grad and torch.is_grad_enabled():
            raise TaskError(
                "No gradient goes through a quantised predictor. Do this stage with the model that "
                "it was made of, and quantise last."
            )
        session = self._session()
        given = session.get_inputs()[0]
        _refuse_other_form(x, given.shape)
        images = x.detach().float().cpu().contiguous().numpy()
        (found,) = session.run(None, {given.name: images})
        return torch.from_numpy(found).to(x)

    def bytes(self) -> bytes:
        """The graph, in ONNX's own format."""
        return self.graph.cpu().numpy().tobytes()

    def _session(self) -> Any:
        if self._running is None or self._running[0] is not self.graph:
            self._running = (self.graph, session_of(checked(self.bytes())))
        return self._running[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": None}  # what runs cannot be copied


def session_of(data: bytes) -> Any:
    """ONNX Runtime, ready to run `data` on one thread.

    Raises:
        ConfigError: onnxruntime is not installed.
        SaveError: it cannot run this graph.
    """
    runtime = needed("onnxruntime", extra="onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = THREADS
    options.log_severity_level = 3  # errors; warnings are for its developers
    try:
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the classes of its errors have no common one of their own
        said = str(error).strip().partition("\n")[0]
        raise SaveError(f"ONNX Runtime cannot run the graph ({said}). {REPAIR}") from error


def _refuse_other_form(x: Tensor, form: list[int | str]) -> None:
    fits = x.ndim == len(form) and all(
        isinstance(wanted, str) or wanted == n for n, wanted in zip(x.shape, form, strict=True)
    )
    if not fits:
        wanted, given = (" x ".join(map(str, shape[1:])) for shape in (form, tuple(x.shape)))
        raise ShapeError(f"This graph takes images of {wanted} (channels first), not {given}.")


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


OPSET = 20  # of ONNX's operators; ONNX Runtime knows it since 1.17 (2024)
INPUT, OUTPUT = "in/images", "out/output"  # with a slash: no attribute of a module is called so


def graph_of(module: nn.Module, x: Float[Tensor, "n c *s"], *, any_sides: bool = False) -> Any:
    """An ONNX `ModelProto` that does what `module` does to images like `x`, any number at once.

    With `any_sides`, their height and width (and depth) are free too. Nothing in it says where it
    was made: no paths, no lines of source.

    Raises:
        ConfigError: the packages that this needs are not installed.
        TaskError: the module does what no graph of ONNX holds.
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
            f"{called(module)} cannot be written as a graph of ONNX ({cause[:200]}). Keep "
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
    """Without the lines of source that the exporter notes beside each node."""
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        noted.doc_string = ""
        del noted.metadata_props[:]


@contextmanager
def quietly(logger: str) -> Iterator[None]:
    """Without warnings, and without what `logger` says to its own developers."""
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
    """Without checks of annotations: an exporter follows them, and takes the sizes for fixed."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)
