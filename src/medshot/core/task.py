"""Task: loss, decoding and metrics for one type of target.

A *task* here is a type of target with its number of outputs ("classification with 3 classes"),
not a data set and not an episode.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Integer, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core.errors import ConfigError, DataError, TaskError
from medshot.core.registry import Registry

Metric = Callable[..., float]  # of the arrays that `Task.metric_inputs` returns
# Influence of each image on a metric that ranks images in their fold: of scores, labels and folds.
Influences = Callable[[ndarray, ndarray, ndarray], ndarray]
TASKS: Registry[type["Task"]] = Registry("task", "medshot.tasks")


@dataclass(frozen=True)
class Task(ABC):
    """Contract between a predictor's output and a target.

    `n_outputs` is the number k of outputs of a predictor. A subclass sets its `kind`, the name by
    which it is registered and saved.
    """

    n_outputs: int
    kind: ClassVar[str]
    by_class: ClassVar[bool] = False  # True: shots and queries of an episode are per class
    on_grid: ClassVar[bool] = False  # True: a target for every site of an image
    from_image: ClassVar[bool] = False  # True: an output is an enhanced version of the input
    at_centers: ClassVar[bool] = False  # True: a target is a set of objects with centers
    logits: ClassVar[bool] = True  # False: outputs are real numbers whose scale is meaningful
    exportable: ClassVar[bool] = True  # False: decoding is not expressible as a tensor graph
    link: ClassVar[str | None] = None  # what `decode` is: softmax, sigmoid, identity (up to units)
    caution: ClassVar[str] = (  # limitation that the card and README of a predictor state
        "The predictor gives an answer to every image, also to one unlike all it learned from, "
        "and its probabilities, where it gives any, are only as calibrated as the report shows."
    )
    metrics: ClassVar[Mapping[str, Metric]]  # the first is the leading one: higher is better
    ranking: ClassVar[Mapping[str, Influences]] = MappingProxyType({})  # metrics that take folds
    lowest: ClassVar[Mapping[str, float]] = MappingProxyType({})  # lowest value of a share, not 0

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
        """Raise `DataError` if a support with these targets does not fit this task."""

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Float[Tensor, ""]:
        """Differentiable training loss, the mean over examples."""

    def divergence(self, output: Tensor, other: Tensor, temperature: float = 1.0) -> Tensor:
        """Distillation loss T^2 KL(other || output): Hinton et al. 2015, arXiv:1503.02531."""
        ours, theirs = ((o / temperature).log_softmax(1) for o in (output, other))
        return temperature**2 * (theirs.exp() * (theirs - ours)).sum(1).mean()

    def encode(self, target: Tensor, like: Tensor) -> Float[Tensor, "n k"]:
        """Regression targets for the outputs, with the dtype and device of `like`.

        They are read as outputs are: by the largest, by the sign, or as a number.

        Raises:
            TaskError: the targets cannot be encoded as rows.
        """
        del target, like
        raise TaskError(f"Targets of {self.kind} cannot be regressed on.")

    @abstractmethod
    def to_prediction(self, output: Tensor, path: Path, card: "Card") -> Any:
        """Prediction for the image in `path`, from its output, as shown to a user."""

    @abstractmethod
    def decode(self, output: Tensor) -> Tensor:
        """Decode outputs into probabilities, images in [0, 1], numbers in their unit, ..."""

    def first_head(self, n_features: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Initial weight `f k` and bias `k` of a linear head: zero."""
        return torch.zeros(n_features, self.n_outputs).to(like), torch.zeros(self.n_outputs).to(
            like
        )

    def predict_one(self, predictor: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Run `predictor` on one image `c *s`."""
        return predictor(x[None])[0]

    def fitted(self, target: Tensor) -> "Task":
        """The task with statistics of the support targets, such as their mean and scale.

        Call it with targets of the support, never with those of the query. By default there are no
        statistics.
        """
        del target
        return self

    @classmethod
    def from_array(cls, y: ndarray, labels: list[str] | None) -> tuple[Tensor, list[str]]:
        """Convert an array to targets as a data set stores them, and the names of the labels.

        Raises:
            ConfigError: such targets can only be loaded from folders.
            DataError, ShapeError: they do not fit the task or the `labels`.
        """
        del y, labels
        raise ConfigError(f"{cls.kind} cannot be loaded from arrays: load a folder.")

    def sized(self, n_labels: int, target: Shaped[Tensor, "n ..."]) -> "Task":
        """The task with the number of outputs that `n_labels` labels and these targets need."""
        del target
        return replace(self, n_outputs=n_labels)

    def unpack(self, target: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "n ..."]:
        """Convert targets from a data set's storage (masks in 8 bits) to what the loss takes."""
        return target

    def resize(self, target: Shaped[Tensor, "n ..."], form: "Form") -> Shaped[Tensor, "n ..."]:
        """Resize targets with their images to another `form`; by default they do not change."""
        del form
        return target

    def renumber(
        self, target: Shaped[Tensor, "n ..."], labels: Sequence[str], wanted: Sequence[str]
    ) -> Shaped[Tensor, "n ..."]:
        """Renumber targets from `labels` to `wanted`; by default they are class numbers.

        Raises:
            DataError: a label is not in `wanted`.
        """
        return torch.tensor(positions(labels, wanted))[target]

    def counts(self, target: Shaped[Tensor, "n ..."]) -> list[int]:
        """Number of images with each label."""
        return self.present_classes(target).sum(0).tolist()

    def present_classes(self, target: Shaped[Tensor, "n ..."]) -> Bool[Tensor, "n g"]:
        """Which groups each image contains, all of which a support needs: by default, classes."""
        flat = target.reshape(len(target), -1)
        return torch.stack([(flat == c).any(1) for c in range(self.n_outputs)], 1)

    def metric_inputs(self, decoded: ndarray, target: ndarray) -> tuple[ndarray, ...]:
        """Inputs of the metrics, a row an image: by default the decoded outputs and the targets.

        A dense task returns counts for each image, so that bootstrap resampling is cheap.
        """
        return decoded, target

    def decisions(
        self, decoded: ndarray, target: ndarray
    ) -> tuple[Bool[ndarray, "n k"], Bool[ndarray, "n k"]] | None:
        """True and predicted labels of each image; None where images have no labels."""
        del decoded, target
        return None

    def chance(self, metric: str) -> float | None:
        """Chance level of `metric`, where it is known."""
        del metric
        return None


def is_fraction(metric: str) -> bool:
    """Whether a metric is a fraction in [0, 1]: if not, its name ends with a unit, `PSNR (dB)`."""
    return not metric.endswith(")")


def kinds_among(tasks: tuple[type[Task], ...]) -> tuple[str, ...]:
    """Registered names of these tasks in alphabetical order; of `(Task,)`, all."""
    return tuple(kind for kind, task in TASKS.all().items() if issubclass(task, tasks))


def positions(labels: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Positions of `labels` in `wanted`. Raises `DataError` where one is missing."""
    if others := [label for label in labels if label not in wanted]:
        raise DataError(
            f"{', '.join(others)} among its labels {', '.join(labels)}, and the model knows "
            f"{', '.join(wanted)}. Take images with the labels of the model, rename a label that "
            "is a synonym of one of them, or adapt a model to yours."
        )
    return [wanted.index(label) for label in labels]


def task_of(kind: str, n_outputs: int, **fields: Any) -> Task:
    """Build the task named `kind` (`classification`, ...); `fields` are its other attributes."""
    cls = TASKS.find(kind)
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    return cls(n_outputs, **values)


@runtime_checkable
class Preprocessing(Protocol):
    """Preprocessing: from a file to the tensor that a predictor takes."""

    dims: ClassVar[int]  # 2 for images, 3 for volumes, 0 for multimodal rows

    def read(self, path: Path) -> Float[Tensor, "c *s"]:
        """One image or volume, in [0, 1]. Raises `DataError` naming the file."""
        ...

    def grid(self, path: Path) -> tuple[int, ...]:
        """(Depth,) height and width of the image or volume in the file."""
        ...


@runtime_checkable
class Restoring(Preprocessing, Protocol):
    """Preprocessing that can be inverted: from values in [0, 1] to pixels like the file's."""

    def restore(self, values: Float[Tensor, "c h w"], path: Path) -> Shaped[ndarray, "h w d"]:
        """`values` with the channels, dtype and range of the image in `path`."""
        ...


@runtime_checkable
class Storing(Preprocessing, Protocol):
    """Preprocessing of volumes, whose files store voxels in an order of their own."""

    def stored(self, mask: Integer[ndarray, "z h w"], path: Path) -> Integer[ndarray, "i j k"]:
        """A mask in the storage order of the volume in the file."""
        ...


@runtime_checkable
class Form(Preprocessing, Protocol):
    """Preprocessing of a data set, with channels and size that can be changed."""

    @property
    def channels(self) -> int:
        """Channels of an image."""
        ...

    @property
    def size(self) -> int | None:
        """Side of an image in pixels; None where images keep their shape."""
        ...

    def at(self, channels: int | None, size: int | None) -> "Form":
        """The preprocessing for an encoder of `channels` and `size`; None where it takes any.

        Raises:
            DataError, ShapeError: the encoder does not take such images.
        """
        ...

    def refit(self, x: Tensor) -> Tensor:
        """Convert images in memory. Raises `DataError` or `ShapeError` if that is impossible."""
        ...

    def support(self, examples: Any) -> Any:
        """`Examples` as a support set: images that are too large are cut into patches."""
        ...


@dataclass(frozen=True)
class Card:
    """Metadata saved with a predictor: task, labels, preprocessing, training data, provenance."""

    task: Task
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    data: dict[str, Any]  # name, images a class, patients, hash, licence notes
    learner: dict[str, Any] = field(default_factory=dict)  # recipe and origin of its weights
    stages: tuple[dict[str, Any], ...] = ()  # stages that were run after adaptation, in order

    def after(self, stage: str, **settings: Any) -> "Card":
        """The card with a further stage, described by `settings` (plain values)."""
        return replace(self, stages=(*self.stages, {"stage": stage, **settings}))

    @property
    def kind(self) -> str:
        """Task name with its modality suffix, e.g. `segmentation-3d`."""
        return kind_in(self.task, self.preprocessing)


def kind_in(task: Task, preprocessing: Preprocessing) -> str:
    """Task name with a modality suffix: `-3d` for volumes, `-multimodal` for multimodal rows."""
    if preprocessing.dims == 0:
        return f"{task.kind}-multimodal"
    return task.kind if preprocessing.dims == 2 else f"{task.kind}-{preprocessing.dims}d"
