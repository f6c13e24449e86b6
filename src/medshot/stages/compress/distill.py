"""Knowledge distillation into a smaller predictor."""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medshot.core import (
    ConfigError,
    Predictor,
    Task,
    TaskError,
    freeze_copy,
    make,
    recipe,
    unfreeze_copy,
    unknown,
)
from medshot.nn.encoder import n_features
from medshot.nn.encoders.adapters import Pruned
from medshot.nn.encoders.conv4 import Conv4
from medshot.nn.encoders.dncnn import DnCNN
from medshot.nn.encoders.unet import UNet, UNet3d
from medshot.nn.heads import Linear
from medshot.stages.compress.imitation import Images, examples_for, imitate
from medshot.stages.compress.prune import encoder_owner
from medshot.training.progress import Watch, quiet

SIZES = {"small": 2, "tiny": 4}  # by what the width is divided
IMAGES = 4  # axes of a tensor of images
GROUPS = 8  # a width is a multiple of it, so that channels can be normalised by group


def student_for(
    predictor: Predictor, x: Tensor, task: Task, into: str | nn.Module, seed: int = 0
) -> Predictor:
    """An encoder and a linear head that has learned nothing, with the outputs of `predictor`.

    `into` is `small` (an untrained encoder of half of the width), `tiny` (a quarter), or another
    encoder. Of an encoder that has no width, or of several, they are a narrow network of the usual
    kind: conv4 for whole images, unet or unet3d for answers on the grid, dncnn for images.

    Raises:
        ConfigError: neither `small` nor `tiny`, or a width that cannot be less, or there is no
            such network for what the predictor takes.
        TaskError: it gives other features than the task asks for.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        theirs = predictor.predict_batches(x[:1])
        made = isinstance(into, str)
        small = _smaller(predictor, x, theirs, task, into) if made else copy.deepcopy(into)
        small = small.to(x).eval()
        if getattr(small, "transductive", False):
            raise TaskError("The smaller encoder is transductive: take one with norm='group'.")
        z = small(x[:1])
        if z.shape[2:] != theirs.shape[2:]:
            raise TaskError(
                f"{type(small).__name__} gives features on another grid than the answers: take "
                "conv4 for labels of whole images, unet for masks."
            )
        if task.from_image and not getattr(small, "begins_with_image", False):
            raise TaskError(f"{task.kind} starts from the image itself: take small or 'dncnn'.")
        return Linear(small, *_head(task, n_features(small), theirs))


def _smaller(predictor: Predictor, x: Tensor, theirs: Tensor, task: Task, into: str) -> nn.Module:
    if into not in SIZES:
        raise unknown(into, SIZES, kind="size to distil into")
    made = _family(predictor)
    before = made["options"].get("width") if made else None
    if made is None or not isinstance(before, int):
        return _narrow(x, theirs, task, into).eval()
    if (after := _divided(before, SIZES[into])) >= before:
        raise ConfigError(
            f"{made['part'].partition('/')[2]} has no width that {into!r} could make less: name "
            "the encoder to distil into, as conv4 with encoder.width=8 (for masks unet)."
        )
    return make({**made, "options": {**made["options"], "width": after}}).eval()


def _narrow(x: Tensor, theirs: Tensor, task: Task, into: str) -> nn.Module:
    """A network of the kind that the answers ask for, on images like `x`."""
    if x.ndim < IMAGES:
        raise ConfigError("Rows of several kinds of data have no smaller network: keep the model.")
    channels, size, by = x.shape[1], x.shape[-1], SIZES[into]
    if task.from_image:
        return DnCNN(channels=channels, size=size, width=32 // by, depth=3)
    if theirs.ndim < IMAGES:
        return Conv4(channels=channels, size=size, width=32 // by)
    if x.ndim > IMAGES:
        return UNet3d(channels=channels, width=GROUPS, depth=4 - by // 2)
    return UNet(channels=channels, size=size, width=GROUPS, depth=4 - by // 2)


def _family(predictor: Predictor) -> dict[str, Any] | None:
    """How the predictor's encoder was made, before it was pruned; None of several, or of none."""
    try:
        found = encoder_owner(predictor).encoder
    except TaskError:
        return None
    made = recipe(found.encoder if isinstance(found, Pruned) else found)
    return made if made["part"].startswith("encoder/") else None


def _divided(width: int, by: int) -> int:
    return max(GROUPS, width // by // GROUPS * GROUPS)


def _head(task: Task, f: int, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """An untrained linear head; the task initializes it where it has as many outputs."""
    k = theirs.shape[1]
    if k == task.n_outputs:
        return task.first_head(f, like=theirs)
    return torch.zeros(f, k).to(theirs), torch.zeros(k).to(theirs)


def distill(
    predictor: Predictor,
    examples: Images,
    into: str | nn.Module = "small",
    *,
    steps: int = 1000,
    lr: float = 1e-3,
    temperature: float = 2.0,
    seed: int = 0,
    folder: Path | None = None,
    watch: Watch = quiet,
) -> Predictor:
    """A smaller network with a linear head, taught by `predictor` on the images of `examples`.

    Labels are not needed, and not looked at. `into` is `small` (half of the width, about a quarter
    of the weights), `tiny` (a quarter of the width), or an encoder, `medshot.encoder("conv4",
    width=16)`. `predictor` may be anything that answers images one by one, differentiable or not.

    Source: Hinton et al. 2015, arXiv:1503.02531. Where we differ: there is no term for labels, and
    images are mixed (see `imitate`).

    Raises:
        ConfigError: an unknown encoder or option, or a width that cannot be less.
        DataError: fewer than two images, or values that are not finite.
        ShapeError: images of another form than the predictor takes.
        TaskError: the predictor is transductive, or the encoder does not fit the task.
    """
    shown, card = examples_for(predictor, examples), predictor.known_card()
    made = student_for(predictor, shown.x, card.task, into, seed)
    student, encoder = unfreeze_copy(made), recipe(made.encoder)
    imitate(
        student,
        predictor,
        shown,
        task=card.task,
        steps=steps,
        lr=lr,
        temperature=temperature,
        folder=folder,
        settings={"stage": "distil", "into": encoder, "seed": seed},
        watch=watch,
    )
    into = into if isinstance(into, str) else encoder["part"]
    after = card.after("distil", into=into, steps=steps, lr=lr, seed=seed, images=len(shown))
    return freeze_copy(student).with_card(after)


distil = distill  # the name of before
