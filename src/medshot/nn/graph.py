"""A predictor that is a graph of ONNX, run by ONNX Runtime: small and quick, and done learning."""

from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from medshot.core.errors import SaveError, ShapeError, TaskError
from medshot.core.extras import needed
from medshot.core.parts import part
from medshot.core.predictor import Predictor
from medshot.nn.graph_checks import REPAIR, checked

THREADS = 1  # of a small machine


@part("predictor", "onnx")
class Graph(Predictor):
    """Answers as the graph does whose bytes it holds, on one thread of the processor.

    No gradient goes through it, and nothing in it can be trained. The graph is checked when it
    first answers: it reads no file, has one input `n c *s` and one output.
    """

    exportable = False  # it is exported already: medshot.export takes the graph itself
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
