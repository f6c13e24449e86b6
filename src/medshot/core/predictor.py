"""A predictor maps images to outputs. Everything after `adapt` takes one, most give one.

It is a plain `nn.Module`: nothing in it knows how it was learnt. What was adapted is
registered as buffers, so `.to(device)` and `state_dict()` work.
"""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from numpy import ndarray
from torch import Tensor, nn

from medshot.core.errors import SaveError
from medshot.core.task import Task
from medshot.core.windows import in_windows

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
