"""The whole of a predictor as one graph: from images in [0, 1] to answers, its card written in."""

import inspect
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import TaskError
from medshot.core.model_card import RESEARCH_ONLY
from medshot.core.predictor import Card, Predictor
from medshot.core.registry import called, needed, recipe
from medshot.core.store import versions
from medshot.core.task import Task
from medshot.nn.onnx import INPUT, OUTPUT, Graph, graph_of, session_of, takes_any_sides

IMAGES, ANSWER = "images", "answer"
SIDE = 24  # of an example, where a predictor takes any
CLOSE = 1e-3  # of the largest answer: more is a fault of the conversion, not of rounding


def answering(predictor: Predictor) -> Any:
    """A `ModelProto` with the input `images` and the output `answer`, any number at once.

    An answer is decoded already: probabilities, an image in [0, 1], numbers in their unit. All that
    must travel with it is in its `metadata_props`.

    Raises:
        SaveError: the predictor has no card.
        TaskError: it, or its task, does what no graph holds; or the graph gives other answers.
    """
    card = predictor.known_card()
    _refuse(predictor, card.task)
    x = _example(card)
    output = predictor.freeze().cpu()(x)
    decoding = graph_of(_Decoding(card.task), output, any_sides=takes_any_sides(predictor))
    model = _joined(_scoring(predictor, x), decoding)
    for key, value in about(card).items():
        model.metadata_props.add(key=key, value=value)
    expected = card.task.decode(output).numpy()
    (found,) = session_of(model.SerializeToString()).run(None, {IMAGES: x.numpy()})
    off = float(np.abs(found - expected).max())
    if not off <= CLOSE * max(1.0, float(np.abs(expected).max())):
        raise TaskError(
            f"The graph of {called(predictor)} gives answers that are off by {off:.2g}, so "
            "it is not written. Keep the model's folder, and use it with `medshot predict`."
        )
    return model


def about(card: Card) -> dict[str, str]:
    """What must travel with a graph; what is not text is JSON."""
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
    """From the outputs of a predictor to the terms of its task."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def forward(self, output: Tensor) -> Tensor:
        return self.task.decode(output)


def _scoring(predictor: Predictor, x: Float[Tensor, "n c *s"]) -> Any:
    """The graph of the predictor alone; a quantised one is a graph already."""
    if isinstance(predictor, Graph):
        return needed("onnx", extra="onnx").load_model_from_string(predictor.bytes())
    frozen = predictor.freeze().cpu().float()
    return graph_of(frozen, x, any_sides=takes_any_sides(frozen))


def _joined(scoring: Any, decoding: Any) -> Any:
    """One graph after the other, with names that tell them apart."""
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
        why = f"The answers of {task.kind} are searched for by code that no graph holds"
    elif not predictor.exportable and not isinstance(predictor, Graph):
        why = f"{name} runs code that no graph holds"
    else:
        return
    raise TaskError(
        f"{why}, so it cannot be exported. Keep the model's folder, and use it with "
        "`medshot predict`."
    )
