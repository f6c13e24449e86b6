"""End-to-end ONNX graph of a predictor, with its card as metadata."""

import inspect
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import Card, Predictor, Task, TaskError, called, needed, recipe, versions
from medshot.core.model_card import RESEARCH_ONLY
from medshot.nn.onnx import INPUT, OUTPUT, Graph, graph_of, session_of, takes_any_sides

IMAGES, ANSWER = "images", "answer"
SIDE = 24  # side of the example image, where a predictor takes any
CLOSE = 1e-3  # error relative to the largest output: more is a conversion bug, not rounding


def answering(predictor: Predictor) -> Any:
    """A `ModelProto` with the input `images` and the output `answer`, with a dynamic batch size.

    The output is decoded: probabilities, an image in [0, 1], numbers in their unit. The card is in
    `metadata_props`.

    Raises:
        SaveError: the predictor has no card.
        TaskError: the predictor or its task cannot be exported; or the graph's outputs differ.
    """
    card = predictor.known_card()
    _refuse(predictor, card.task)
    x = _example(card)
    output = predictor.freeze().cpu()(x)
    decoding = graph_of(_Decoding(card.task), output, any_sides=takes_any_sides(predictor))
    model = _joined(_scoring(predictor, x), decoding)
    for key, value in onnx_metadata(card).items():
        model.metadata_props.add(key=key, value=value)
    expected = card.task.decode(output).numpy()
    (found,) = session_of(model.SerializeToString()).run(None, {IMAGES: x.numpy()})
    off = float(np.abs(found - expected).max())
    if not off <= CLOSE * max(1.0, float(np.abs(expected).max())):
        raise TaskError(
            f"The outputs of the graph of {called(predictor)} are off by {off:.2g}, so it is not "
            "written. Keep the model's folder, and use it with `medshot predict`."
        )
    return model


def onnx_metadata(card: Card) -> dict[str, str]:
    """Metadata of the graph; values that are not text are JSON."""
    task, form = card.task, card.preprocessing
    words = {"preprocessing in words": inspect.getdoc(form) or ""}
    structured = {
        "task": {"kind": card.kind, **asdict(task)},
        "labels": list(card.labels),
        "preprocessing": recipe(form),
        "stages": list(card.stages),
        "learner": card.learner,
        "data": card.data,
        "versions": versions(),
    }
    return {
        "notice": RESEARCH_ONLY,
        "caution": task.caution,
        "input": f"{IMAGES}: n c *s, float32 in [0, 1] (8-bit values / 255), channels first",
        "output": f"{ANSWER}: {inspect.getdoc(task.decode)}",
        **words,
        **{name: json.dumps(value) for name, value in structured.items()},
    }


class _Decoding(nn.Module):
    """Decoding of outputs by the task."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def forward(self, output: Tensor) -> Tensor:
        return self.task.decode(output)


def _scoring(predictor: Predictor, x: Float[Tensor, "n c *s"]) -> Any:
    """Graph of the predictor without decoding; a quantized one is a graph already."""
    if isinstance(predictor, Graph):
        return needed("onnx", extra="onnx").load_model_from_string(predictor.bytes())
    frozen = predictor.freeze().cpu().float()
    return graph_of(frozen, x, any_sides=takes_any_sides(frozen))


def _joined(scoring: Any, decoding: Any) -> Any:
    """Compose two graphs, with prefixes that keep names unique."""
    compose = needed("onnx.compose", extra="onnx")
    decoding.ir_version = scoring.ir_version
    first, second = (
        compose.add_prefix(model, prefix)
        for model, prefix in ((scoring, "score/"), (decoding, "decode/"))
    )
    model = compose.merge_models(first, second, [(f"score/{OUTPUT}", f"decode/{INPUT}")])
    _rename(model.graph, {f"score/{INPUT}": IMAGES, f"decode/{OUTPUT}": ANSWER})
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    return model


def _rename(graph: Any, names: dict[str, str]) -> None:
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [names.get(name, name) for name in ends]


def _example(card: Card) -> Float[Tensor, "n c *s"]:
    form = card.preprocessing
    channels, size = getattr(form, "channels", 1), getattr(form, "size", None) or SIDE
    rng = torch.Generator().manual_seed(0)
    return torch.rand(2, channels, *(size,) * form.dims, generator=rng)


def _refuse(predictor: Predictor, task: Task) -> None:
    name = called(predictor)
    if predictor.transductive:
        why = f"{name} is transductive: it reads the images of a batch together"
    elif not task.exportable:
        why = f"Outputs for {task.kind} are decoded by code that no graph holds, of any learner"
    elif not predictor.exportable and not isinstance(predictor, Graph):
        why = f"{name} runs code that cannot be in a graph"
    else:
        return
    raise TaskError(
        f"{why}, so it cannot be exported. Keep the model's folder, and use it with "
        "`medshot predict`."
    )
