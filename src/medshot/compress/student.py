"""A smaller network than a predictor has, that has learnt nothing yet."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from medshot.compress.home import home_of
from medshot.core.errors import ConfigError, TaskError, unknown
from medshot.core.parts import make, recipe
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.nn.encoder import n_features
from medshot.nn.heads import Linear
from medshot.nn.pruned import Pruned

SIZES = {"small": 2, "tiny": 4}  # by what the width is divided
GROUPS = 8  # a width is a multiple of it, so that channels can be normalised by group


def student_for(
    predictor: Predictor, x: Tensor, task: Task, into: str | nn.Module, seed: int = 0
) -> Predictor:
    """An encoder and a linear head that has learnt nothing, with the outputs of `predictor`.

    `into` is `small` (an untrained encoder of half of the width), `tiny` (a quarter), or another
    encoder.

    Raises:
        ConfigError: neither `small` nor `tiny`, or a width that cannot be less.
        TaskError: it gives other features than the task asks for.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        small = _smaller(predictor, into) if isinstance(into, str) else copy.deepcopy(into)
        small = small.to(x).eval()
        if getattr(small, "transductive", False):
            raise TaskError("The smaller encoder is transductive: take one with norm='group'.")
        theirs, z = predictor.answer_all(x[:1]), small(x[:1])
        if z.shape[2:] != theirs.shape[2:]:
            raise TaskError(
                f"{type(small).__name__} gives features on another grid than the answers: take "
                "conv4 for labels of whole images, unet for masks."
            )
        if task.from_image and not getattr(small, "begins_with_image", False):
            raise TaskError(f"{task.kind} starts from the image itself: take small or 'dncnn'.")
        return Linear(small, *_head(task, n_features(small), theirs))


def _smaller(predictor: Predictor, into: str) -> nn.Module:
    if into not in SIZES:
        raise unknown(into, SIZES, kind="size to distil into")
    made = _family(predictor)
    before = made["options"].get("width") if made["part"].startswith("encoder/") else None
    if not isinstance(before, int) or (after := _divided(before, SIZES[into])) >= before:
        raise ConfigError(
            f"{made['part'].partition('/')[2]} has no width that {into!r} could make less: name "
            "the encoder to distil into, as conv4 with encoder.width=8 (for masks unet)."
        )
    return make({**made, "options": {**made["options"], "width": after}}).eval()


def _family(predictor: Predictor) -> dict[str, Any]:
    """How the predictor's encoder was made, before it was pruned."""
    found = home_of(predictor).encoder
    return recipe(found.encoder if isinstance(found, Pruned) else found)


def _divided(width: int, by: int) -> int:
    return max(GROUPS, width // by // GROUPS * GROUPS)


def _head(task: Task, f: int, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """A linear head that has learnt nothing; the task knows how it begins, where it has so many."""
    k = theirs.shape[1]
    if k == task.n_outputs:
        return task.first_head(f, like=theirs)
    return torch.zeros(f, k).to(theirs), torch.zeros(k).to(theirs)
