"""A network as an ONNX graph: what another program can run without PyTorch."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, config
from torch import Tensor, nn

from medshot.core.errors import TaskError
from medshot.core.extras import needed
from medshot.core.parts import called
from medshot.nn.encoder import Encoder
from medshot.nn.graph_means import means_by_axis

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
