"""From what was typed to the steps of compression, in the order in which they are chained."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from medshot.app.choose import named_encoder
from medshot.core.errors import ConfigError, unknown
from medshot.core.predictor import Predictor
from medshot.stages.compress.distill import SIZES
from medshot.stages.compress.distill import distil as distilled
from medshot.stages.compress.imitation import Images, examples_for
from medshot.stages.compress.prune import check_share
from medshot.stages.compress.prune import prune as pruned
from medshot.stages.compress.quantize import quantise as quantised
from medshot.training.progress import bar_called

NUMBERS = ("int8",)

# images, the options of learning, the predictor so far, a folder for checkpoints
Wanted = Callable[[Images, Mapping[str, Any], Predictor, Path], Predictor]


def wanted_steps(
    original: Predictor,
    *,
    prune: float | None,
    distil: str | None,
    quantise: str | None,
    given: Sequence[str],
    seed: int,
) -> dict[str, Wanted]:
    """The steps by name. All are checked here, before any of them begins.

    Raises:
        ConfigError: there is none, or one that cannot be.
    """
    if prune is None and distil is None and quantise is None:
        raise ConfigError(
            "Say how to compress: --distil small, --prune 0.5, --quantise int8, or several."
        )
    if quantise not in (None, *NUMBERS):
        raise unknown(str(quantise), NUMBERS, kind="kind of number to quantise to")
    if given and (distil is None or distil in SIZES):
        raise ConfigError("--set is for --distil with the name of an encoder: conv4, unet, ...")
    steps: dict[str, Wanted] = {}
    if distil is not None:
        steps[f"distil {distil}"] = _distilling(original, distil, given, seed)
    if prune is not None:
        check_share(prune)
        steps[f"prune {prune:g}"] = _pruning(original, prune)
    if quantise is not None:
        steps[quantise] = _quantising
    return steps


def _distilling(original: Predictor, name: str, given: Sequence[str], seed: int) -> Wanted:
    form: Any = original.known_card().preprocessing
    sides = {"channels": form.channels} | ({"size": form.size} if form.dims == 2 else {})
    into: str | nn.Module = name if name in SIZES else named_encoder(name, given, **sides)

    def step(
        images: Images, options: Mapping[str, Any], predictor: Predictor, folder: Path
    ) -> Predictor:
        watch = bar_called("distil")
        return distilled(predictor, images, into, **options, seed=seed, folder=folder, watch=watch)

    return step


def _pruning(original: Predictor, share: float) -> Wanted:
    def step(
        images: Images, options: Mapping[str, Any], predictor: Predictor, folder: Path
    ) -> Predictor:
        seen: dict[str, Any] = {"folder": folder, "watch": bar_called("prune")}
        return pruned(predictor, images, share, teacher=original, **options, **seen)

    return step


def _quantising(
    images: Images, options: Mapping[str, Any], predictor: Predictor, folder: Path
) -> Predictor:
    del options, folder  # nothing is learnt, and it takes seconds
    return quantised(predictor, examples_for(predictor, images))
