"""Convolutions in 8-bit integers: a quarter of the bytes, and less time an image."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from medshot.core import DataError, Examples, Predictor, TaskError, called, needed, unknown
from medshot.nn.onnx import INPUT, Graph, graph_of, quietly, takes_any_sides
from medshot.stages.compress.imitation import Images, in_form_of

TYPES = ("int8",)
FEWEST = 4  # images that ranges are measured on
MOST = 128  # beyond these, ranges hardly widen, and time goes on
MOST_MOVED = 0.5  # of the deviation of the outputs: beyond it, other answers are given


def quantize(predictor: Predictor, examples: Images, *, to: str = "int8") -> Predictor:
    """A predictor whose convolutions multiply 8-bit integers, run by ONNX Runtime on one thread.

    The ranges of what goes into each convolution are measured on `examples`, whose labels are not
    read: take the support. Weights have a scale a channel. All else, the head too, stays in
    floating point: a distance is a small difference of large numbers. The card notes by how much
    outputs moved on these images.

    Source: Jacob et al. 2018, arXiv:1712.05877 (integers with a scale and a zero point), by ONNX
    Runtime's static quantisation. Weights take 7 of the 8 bits, because processors without VNNI
    saturate at 8 and would answer otherwise than those with it.

    Raises:
        ConfigError: another type than int8, or the packages that this needs are not installed.
        DataError: fewer than 4 different images, or one that is constant or not finite.
        ShapeError: images of another form than the predictor takes.
        TaskError: the predictor is transductive, quantised already, has no convolution, or would
            give other answers.
    """
    if to not in TYPES:
        raise unknown(to, TYPES, kind="type to quantise to")
    if predictor.transductive or not predictor.exportable:
        raise _not_this(predictor)
    shown = examples if isinstance(examples, Examples) else in_form_of(predictor, examples)
    x = shown.x[:MOST]
    _refuse_unfit(x)
    whole = predictor.freeze().cpu().float()
    with torch.no_grad():
        before = whole.predict_batches(x.cpu().float())
    small = Graph.of(_quantized(graph_of(whole, x[:2], any_sides=takes_any_sides(whole)), x))
    moved = _moved(before, small.predict_batches(x.cpu().float()))
    if predictor.card is not None:
        said = {"to": to, "images": len(x), "moved": round(moved, 4)}
        small.card = predictor.card.after("quantise", **said)
    return small.eval()


quantise = quantize  # the name of before


def _moved(before: Tensor, after: Tensor) -> float:
    """The root mean square change, in deviations of the outputs before.

    Raises:
        TaskError: it is so large that little is left of what was learned.
    """
    moved = float((after - before).square().mean().sqrt() / before.std())
    if not moved <= MOST_MOVED:
        raise TaskError(
            f"In int8 the outputs move by {moved:.2f} of their own deviation on these images, more "
            f"than {MOST_MOVED}: little would be left of what was learned. Keep floating point, or "
            "fine-tune first: networks that were never trained bear it worst."
        )
    return moved


def _quantized(model: Any, x: Float[Tensor, "n c *s"]) -> Any:
    """The `ModelProto` with its convolutions in integers; `TaskError` if it has none."""
    onnx, quantization = (needed(n, extra="onnx") for n in ("onnx", "onnxruntime.quantization"))
    if not any(node.op_type == "Conv" for node in model.graph.node):
        raise TaskError(
            "There is no convolution in this predictor, so there is nothing to quantise: what is "
            "left, its head, would lose more than it gains. Keep it as it is, or distil it first: "
            "`medshot compress MODEL --distil small --quantise int8`."
        )
    kinds = quantization.QuantType
    with tempfile.TemporaryDirectory(prefix="medshot-") as place, quietly("root"):
        written = Path(place) / "int8.onnx"
        quantization.quantize_static(
            model,
            written,
            _Reader(x),
            op_types_to_quantize=["Conv"],
            per_channel=True,
            reduce_range=True,
            activation_type=kinds.QUInt8,
            weight_type=kinds.QInt8,
        )
        return onnx.load(written)


class _Reader:
    """Gives the images one by one, as ONNX Runtime asks for them."""

    def __init__(self, x: Float[Tensor, "n c *s"]) -> None:
        self._images: Iterator[Tensor] = iter(x.cpu().float().split(1))

    def get_next(self) -> dict[str, ndarray] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image.numpy()}


def _not_this(predictor: Predictor) -> TaskError:
    if isinstance(predictor, Graph):
        return TaskError("This predictor is quantised already. Take the one it was made of.")
    why = "reads the images of a batch together" if predictor.transductive else "runs other code"
    return TaskError(
        f"{called(predictor)} {why}, so it cannot be quantised. Take another learner, or "
        "prune or distil it."
    )


def _refuse_unfit(x: Float[Tensor, "n c *s"]) -> None:
    """Raise `DataError` unless ranges can be measured on these images."""
    if not x.isfinite().all():
        raise DataError("A calibration image holds NaN or infinity. Leave it out.")
    flat = x.flatten(1)
    constant = (flat == flat[:, :1]).all(1).nonzero().flatten().tolist()
    if constant:
        raise DataError(
            f"Calibration image(s) number {', '.join(map(str, constant))} have the same value "
            "everywhere: ranges measured on them say nothing. Leave them out."
        )
    different = len(flat.unique(dim=0)) if len(flat) else 0
    if different < FEWEST:
        raise DataError(
            f"int8 is calibrated on {different} different image(s), and takes {FEWEST} at least: "
            "ranges measured on so few cut off what other images need. Give more images."
        )
