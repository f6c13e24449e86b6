"""A smaller network than a predictor has, that has learnt nothing yet."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from medshot.compress.home import home_of
from medshot.core.errors import ConfigError, TaskError, unknown
from medshot.core.predictor import Predictor
from medshot.core.registry import make, recipe
from medshot.core.task import Task
from medshot.nn.encoder import n_features
from medshot.nn.encoders.adapters import Pruned
from medshot.nn.encoders.conv4 import Conv4
from medshot.nn.encoders.dncnn import DnCNN
from medshot.nn.encoders.unet import UNet, UNet3d
from medshot.nn.heads import Linear

SIZES = {"small": 2, "tiny": 4}  # by what the width is divided
IMAGES = 4  # axes of a tensor of images
GROUPS = 8  # a width is a multiple of it, so that channels can be normalised by group


def student_for(
    predictor: Predictor, x: Tensor, task: Task, into: str | nn.Module, seed: int = 0
) -> Predictor:
    """An encoder and a linear head that has learnt nothing, with the outputs of `predictor`.

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
        theirs = predictor.answer_all(x[:1])
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
        found = home_of(predictor).encoder
    except TaskError:
        return None
    made = recipe(found.encoder if isinstance(found, Pruned) else found)
    return made if made["part"].startswith("encoder/") else None


def _divided(width: int, by: int) -> int:
    return max(GROUPS, width // by // GROUPS * GROUPS)


def _head(task: Task, f: int, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """A linear head that has learnt nothing; the task knows how it begins, where it has so many."""
    k = theirs.shape[1]
    if k == task.n_outputs:
        return task.first_head(f, like=theirs)
    return torch.zeros(f, k).to(theirs), torch.zeros(k).to(theirs)
