"""A predictor maps images to outputs. Everything after `adapt` takes one, most give one.

It is a plain `nn.Module`: nothing in it knows how it was learnt. What was adapted is
registered as buffers, so `.to(device)` and `state_dict()` work.

Large volumes answered in overlapping windows, so that memory does not grow with them.

A predictor whose weights can be changed further, and one that is done with it.
"""

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from numpy import ndarray
from torch import Tensor, nn

from medshot.core.errors import SaveError, TaskError
from medshot.core.task import Task

SIDE = 96  # voxels a side of a window
OVERLAP = 0.25  # of a window, with the next


def in_windows(
    answer: Callable[[Tensor], Tensor], x: Float[Tensor, "n c z h w"], side: int = SIDE
) -> Float[Tensor, "n k z h w"]:
    """`answer(x)`, in windows of at most `side` voxels a side if `x` is larger.

    Where windows overlap, answers are averaged, those near the middle of their window weighing
    more: they have seen more around them.
    """
    sides = tuple(x.shape[2:])
    if max(sides) <= side:
        return answer(x)
    total = weights = torch.zeros(())
    for place in _places(sides, side):
        found = answer(x[(..., *place)])
        weight = _middle(found.shape[2:]).to(found)
        if total.ndim == 0:
            total, weights = found.new_zeros(*found.shape[:2], *sides), found.new_zeros(sides)
        total[(..., *place)] += weight * found
        weights[place] += weight
    return total / weights


def _places(sides: tuple[int, ...], side: int) -> Iterator[tuple[slice, ...]]:
    step = round(side * (1 - OVERLAP))
    starts = [sorted({min(start, max(0, n - side)) for start in range(0, n, step)}) for n in sides]
    for corner in itertools.product(*starts):
        yield tuple(slice(at, min(at + side, n)) for at, n in zip(corner, sides, strict=True))


def _middle(sides: torch.Size) -> Tensor:
    """Weights that fall towards the border, nowhere to 0."""
    falls = [torch.minimum(torch.arange(n) + 1, n - torch.arange(n)) / n for n in sides]
    z, h, w = falls
    return z[:, None, None] * h[:, None] * w


VOLUMES = 5  # axes of a tensor of volumes: n c z h w
SITES = 2**16  # pixels answered together: four images of 128 x 128 took half the time of 25


@runtime_checkable
class Preprocessing(Protocol):
    """Makes the tensor that a predictor takes out of a file."""

    dims: ClassVar[int]  # 2 for images, 3 for volumes, 0 for rows of several kinds of data

    def read(self, path: Path) -> Float[Tensor, "c *s"]:
        """One image or volume, in [0, 1]. Raises `DataError` naming the file."""
        ...

    def grid(self, path: Path) -> tuple[int, ...]:
        """The (depth,) height and width of what is in the file."""
        ...


@runtime_checkable
class Restoring(Preprocessing, Protocol):
    """Also makes, of values in [0, 1], pixels like those of the file that was read."""

    def restore(self, values: Float[Tensor, "c h w"], path: Path) -> Shaped[ndarray, "h w d"]:
        """`values` with the channels, the type and the range of the image in `path`."""
        ...


@dataclass(frozen=True)
class Card:
    """What must travel with a predictor: without it, numbers out of images mean nothing."""

    task: Task
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    data: dict[str, Any]  # name, images a class, patients, hash, licence notes
    learner: dict[str, Any] = field(default_factory=dict)  # recipe and where its weights are from
    stages: tuple[dict[str, Any], ...] = ()  # what was done to the predictor since, in order

    def after(self, stage: str, **settings: Any) -> "Card":
        """This card after a further stage, which `settings` (plain values) describe."""
        return replace(self, stages=(*self.stages, {"stage": stage, **settings}))

    @property
    def kind(self) -> str:
        """The kind of task, for volumes with a `-3d`."""
        return kind_in(self.task, self.preprocessing)


def kind_in(task: Task, preprocessing: Preprocessing) -> str:
    """The kind of a task on images of such a form: that of volumes ends with `-3d`.

    That of rows of several kinds of data ends with `-multimodal`.
    """
    if preprocessing.dims == 0:
        return f"{task.kind}-multimodal"
    return task.kind if preprocessing.dims == 2 else f"{task.kind}-{preprocessing.dims}d"


class Predictor(nn.Module):
    """Maps images `n c *s` in [0, 1] to outputs `n k ...`.

    Fresh from `adapt` it may share weights with its learner and hold a graph; `freeze` makes
    it stand alone. `predict` and `save` need a card, which adapting to a loaded folder gives.
    """

    card: Card | None = None
    transductive = False  # True: an answer depends on which other images are in the batch
    exportable = True  # False: it runs code that no graph of tensor operations holds
    differentiable: ClassVar[bool] = True  # False: no gradient goes through it, nothing is trained

    def freeze(self) -> "Predictor":
        """A copy that stands alone: no graph, nothing shared with the learner, eval mode.

        Its tensors are laid out as files hold them: once loaded again, sums run in the same order.
        """
        plain = torch.contiguous_format
        detached: dict[int, Any] = {
            id(b): b.detach().clone(memory_format=plain) for b in self.buffers()
        }
        frozen = copy.deepcopy(self, detached)
        frozen.to(memory_format=plain)  # type: ignore[call-overload]
        return frozen.eval().requires_grad_(False)

    def with_card(self, card: Card) -> "Predictor":
        """This predictor, carrying `card`."""
        self.card = card
        return self

    @torch.no_grad()
    def predict(self, images: str | Path | Iterable[str | Path]) -> Any:
        """A `Prediction` (of its kind of task) for one path, a list of them for several.

        Raises:
            DataError: a file cannot be read as an image.
            SaveError: the predictor has no card, so labels and preprocessing are unknown.
        """
        if not isinstance(images, str | Path):
            return [self.predict(path) for path in images]
        card = self.known_card()
        x = card.preprocessing.read(Path(images)).to(any_tensor(self))
        with eval_mode(self):
            return card.task.answer(card.task.ask(self.answer_all, x), Path(images), card)

    def answer_all(self, x: Float[Tensor, "n c *s"]) -> Tensor:
        """`self(x)`, a few images at a time: what fits in a processor's cache is done sooner.

        Volumes go one by one, and large ones in windows, as memory is not endless.
        """
        if self.transductive or len(x) == 0:
            return self(x)
        if x.ndim < VOLUMES:
            few = max(1, SITES // x[0, 0].numel())
            return torch.cat([self(part) for part in x.split(few)])
        return torch.cat([in_windows(self, volume[None]) for volume in x])

    def save(self, folder: str | Path) -> Path:
        """Write the frozen predictor to a new folder. See `medshot.core.store`."""
        from medshot.core.store import save_predictor  # noqa: PLC0415  (store needs this class)

        return save_predictor(self, Path(folder))

    def known_card(self) -> Card:
        """The card, or an error that says how to get one."""
        if self.card is None:
            raise SaveError(
                "This predictor knows neither its labels nor its preprocessing. Adapt to a "
                "loaded folder, `learner.adapt(medshot.load(...))`, or give it a `Card`."
            )
        return self.card


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Within the block `module` is in eval mode; after it, each part is as it was."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def any_tensor(module: nn.Module) -> Tensor:
    """A tensor of `module`, for its device and floating type; without any, the default ones."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor
    return torch.zeros(())


def trainable(predictor: Predictor) -> Predictor:
    """A copy that stands alone and whose weights are all parameters: the encoder's and the head's.

    What a head was fitted to lies in buffers, which no optimizer moves; here they are parameters
    of the same names. The encoder's own buffers (running statistics, fixed filters) stay as they
    are. To be given to `settled` once changed.

    Raises:
        TaskError: no gradient goes through the predictor, or one inside it.
    """
    if not all(part.differentiable for part in _predictors(predictor)):
        raise TaskError(
            "This model cannot be trained: no gradient goes through what is quantised. Do this "
            "stage with the model that it was made of, and quantise last."
        )
    copied = predictor.freeze().requires_grad_(True)
    for part in _predictors(copied):
        for name, tensor in list(part.named_buffers(recurse=False)):
            if tensor.is_floating_point():
                delattr(part, name)
                part.register_parameter(name, nn.Parameter(tensor))
    copied.card = predictor.card
    return copied


def settled(changed: Predictor) -> Predictor:
    """A frozen copy of what `trainable` gave and something then changed, fit to be saved."""
    copied = changed.freeze()
    for part in _predictors(copied):
        for name, tensor in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, tensor.detach())
    copied.card = changed.card
    return copied


def _predictors(module: Predictor) -> list[Predictor]:
    """It, and those inside it: an ensemble has members."""
    return [part for part in module.modules() if isinstance(part, Predictor)]
