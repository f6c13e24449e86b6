"""What targets mean. The only place where kinds of task differ.

A *task* here is a kind of question with its number of answers ("which of 3 classes?"),
not a data set and not an episode.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core.errors import ConfigError, DataError, TaskError
from medshot.core.registry import Registry

Metric = Callable[..., float]  # of a task's evidence
TASKS: Registry[type["Task"]] = Registry("task", "medshot.tasks")


@dataclass(frozen=True)
class Task(ABC):
    """The contract between a predictor's output and a target.

    `n_outputs` is the number k of outputs that a predictor must give. A subclass names its
    `kind`, and is known by it wherever tasks are read from a file.
    """

    n_outputs: int
    kind: ClassVar[str]
    by_class: ClassVar[bool] = False  # True: an episode has so many images a class, not in all
    on_grid: ClassVar[bool] = False  # True: a target for every site of an image
    from_image: ClassVar[bool] = False  # True: an answer is the image itself, made better
    at_centers: ClassVar[bool] = False  # True: a target is things with a centre, not the sites
    logits: ClassVar[bool] = True  # False: outputs are numbers, and their size means something
    exportable: ClassVar[bool] = True  # False: decoding runs code that no graph of tensors holds
    link: ClassVar[str | None] = None  # what `decode` is: softmax, sigmoid, identity (up to units)
    caution: ClassVar[str] = (  # what whoever uses a predictor has to know
        "The predictor gives an answer to every image, also to one unlike all it learned from, "
        "and its probabilities, where it gives any, are not calibrated."
    )
    metrics: ClassVar[Mapping[str, Metric]]  # methods are compared by the first: higher is better

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "kind" in cls.__dict__:
            TASKS[cls.kind] = cls

    @property
    def leading(self) -> str:
        """The metric by which methods are compared."""
        return next(iter(self.metrics))

    @abstractmethod
    def check(self, target: Tensor) -> None:
        """Raise `DataError` if these targets cannot teach this task."""

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Float[Tensor, ""]:
        """The differentiable score: lower is better, the mean over examples."""

    def divergence(self, output: Tensor, other: Tensor, temperature: float = 1.0) -> Tensor:
        """How far from `other` outputs: T^2 KL(other || output), Hinton 2015, arXiv:1503.02531."""
        ours, theirs = ((o / temperature).log_softmax(1) for o in (output, other))
        return temperature**2 * (theirs.exp() * (theirs - ours)).sum(1).mean()

    def encode(self, target: Tensor, like: Tensor) -> Float[Tensor, "n k"]:
        """Targets as rows that outputs can be regressed on, in the type and place of `like`.

        What decides between outputs decides between these: the largest, the sign, the number.

        Raises:
            TaskError: such targets are no rows.
        """
        del target, like
        raise TaskError(f"Targets of {self.kind} cannot be regressed on.")

    @abstractmethod
    def answer(self, output: Tensor, path: Path, card: "Card") -> Any:
        """The answer for the image in `path`, whose output this is, as a user gets it."""

    @abstractmethod
    def decode(self, output: Tensor) -> Tensor:
        """The outputs in the terms of the task: probabilities, an image in [0, 1], numbers."""

    def first_head(self, n_features: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Weight `f k` and bias `k` of a linear head that has learned nothing: all zero."""
        return torch.zeros(n_features, self.n_outputs).to(like), torch.zeros(self.n_outputs).to(
            like
        )

    def ask(self, predictor: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """What `predictor` says of one image `c *s`."""
        return predictor(x[None])[0]

    def fitted(self, target: Tensor) -> "Task":
        """This task, knowing what a support's targets say of it: the scale of numbers, say.

        To be called with targets of the support, never with those of the query. By default there
        is nothing to know.
        """
        del target
        return self

    @classmethod
    def from_array(cls, y: ndarray, labels: list[str] | None) -> tuple[Tensor, list[str]]:
        """The targets of an array as a data set keeps them, and the names of what they are.

        Raises:
            ConfigError: such targets come from folders alone.
            DataError, ShapeError: they do not fit the task or the `labels`.
        """
        del y, labels
        raise ConfigError(f"{cls.kind} is no task for arrays: load a folder.")

    def sized(self, n_labels: int, target: Shaped[Tensor, "n ..."]) -> "Task":
        """This task with as many outputs as data with `n_labels` labels and such targets need."""
        del target
        return replace(self, n_outputs=n_labels)

    def unpack(self, target: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "n ..."]:
        """Targets as the loss takes them, out of those that a data set keeps (masks in 8 bits)."""
        return target

    def resize(self, target: Shaped[Tensor, "n ..."], form: "Form") -> Shaped[Tensor, "n ..."]:
        """Targets for images that take another `form`: by default, one an image, the same."""
        del form
        return target

    def renumber(
        self, target: Shaped[Tensor, "n ..."], labels: Sequence[str], wanted: Sequence[str]
    ) -> Shaped[Tensor, "n ..."]:
        """Targets by `labels` in the numbers of `wanted`; by default they are class numbers.

        Raises:
            DataError: a label is not among those wanted.
        """
        return torch.tensor(positions(labels, wanted))[target]

    def counts(self, target: Shaped[Tensor, "n ..."]) -> list[int]:
        """On how many images each label is."""
        return self.shows(target).sum(0).tolist()

    def shows(self, target: Shaped[Tensor, "n ..."]) -> Bool[Tensor, "n g"]:
        """What is on which image, that a support must not lack: by default, each class."""
        flat = target.reshape(len(target), -1)
        return torch.stack([(flat == c).any(1) for c in range(self.n_outputs)], 1)

    def evidence(self, decoded: ndarray, target: ndarray) -> tuple[ndarray, ...]:
        """What the metrics read, a row an image: by default the decoded outputs and the targets.

        A task with many sites an image gives counts, so that images can be drawn again cheaply.
        """
        return decoded, target

    def told(
        self, decoded: ndarray, target: ndarray
    ) -> tuple[Bool[ndarray, "n k"], Bool[ndarray, "n k"]] | None:
        """Which label each image has, and which it is said to have; None where neither is so."""
        del decoded, target
        return None

    def chance(self, metric: str) -> float | None:
        """What `metric` is for somebody who guesses, where that is known."""
        del metric
        return None


def is_share(metric: str) -> bool:
    """Whether a metric is a share in [0, 1]: if not, its name ends with its unit, `PSNR (dB)`."""
    return not metric.endswith(")")


def kinds_among(tasks: tuple[type[Task], ...]) -> tuple[str, ...]:
    """The kinds that are known of these tasks, in alphabetical order; of `(Task,)`, all."""
    return tuple(kind for kind, task in TASKS.all().items() if issubclass(task, tasks))


def positions(labels: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """The places of `labels` among those `wanted`. Raises `DataError` where one is not there."""
    if others := [label for label in labels if label not in wanted]:
        raise DataError(
            f"{', '.join(others)} among its labels {', '.join(labels)}, and the model knows "
            f"{', '.join(wanted)}. Take images with the labels of the model, correct a label that "
            "is another word for one of them, or adapt a model to yours."
        )
    return [wanted.index(label) for label in labels]


def task_of(kind: str, n_outputs: int, **fields: Any) -> Task:
    """The task called `kind` (`classification`, ...); `fields` are what some kinds have beside."""
    cls = TASKS.find(kind)
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    return cls(n_outputs, **values)


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


@runtime_checkable
class Form(Preprocessing, Protocol):
    """A preprocessing that can be changed: the form in which a data set has its images."""

    @property
    def channels(self) -> int:
        """Of an image in this form."""
        ...

    @property
    def size(self) -> int | None:
        """The side of an image in pixels; None where images keep their shape."""
        ...

    def at(self, channels: int | None, size: int | None) -> "Form":
        """The form for an encoder of `channels` and `size`; None where it takes any.

        Raises:
            DataError, ShapeError: it takes no such images.
        """
        ...

    def refit(self, x: Tensor) -> Tensor:
        """Images in memory in this form. Raises `DataError` or `ShapeError` if they cannot be."""
        ...

    def support(self, examples: Any) -> Any:
        """`Examples` as a support has them: what is too large is cut."""
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
