"""A learner maps a support set to a predictor.

    learner.adapt(support, task) -> predictor          predictor(x) -> output

A learner's parameters are the meta-parameters, which meta-training updates. A predictor's
tensors are functions of them, so the query loss back-propagates into the learner through
`adapt`, whatever it does (a mean, a solver, ten steps of gradient descent).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.episode import Episode, Examples
from medshot.core.errors import DataError, TaskError
from medshot.core.predictor import Predictor, any_tensor, eval_mode
from medshot.core.registry import called, described
from medshot.core.task import Card, Task, kinds_among


@runtime_checkable
class SupportSet(Protocol):
    """A loaded folder: examples with their task, labels and preprocessing."""

    def support(self, encoder: nn.Module) -> tuple[Examples, Card]:
        """All examples, in the form (channels, size) that `encoder` takes, and their card."""
        ...


class Learner(nn.Module, ABC):
    """Maps a support set to a predictor.

    A new learner is one file in `medshot/learners` with a subclass that implements `learn`.
    `adapt` and `learn` do not change the learner: the same support gives the same predictor.
    State that survives an episode belongs in `meta_loss`.
    """

    encoder: nn.Module
    supports: ClassVar[tuple[type[Task], ...]]
    source: ClassVar[str]  # author, year, identifier
    trainable: ClassVar[bool] = True  # False: a baseline without meta-training
    exact: ClassVar[bool] = True  # the meta-gradient is the exact gradient of the query loss
    adapts_encoder: ClassVar[bool] = False  # True: `learn` changes the encoder's weights too
    chooses: ClassVar[bool] = False  # True: delegates to a learner with a fixed encoder
    order_matters: ClassVar[bool] = False  # True: reads the support as a sequence
    vectorizes: ClassVar[bool] = False  # True: `meta_loss` works under torch.func.vmap
    transductive: ClassVar[bool] = False  # True: a prediction depends on the other queries
    pools: ClassVar[bool] = False  # True: pools an encoder that keeps the grid, for image labels
    usual_encoder: ClassVar[str] = ""  # where none is named; "": that of the kind of task
    origin: str = "untrained"  # provenance of the weights

    def adapt(self, support: Examples | SupportSet, task: Task | None = None) -> Predictor:
        """Learn from `support`: a loaded folder, or `Examples` with their `task`.

        Raises:
            TaskError: the learner does not support the task.
            DataError: the support is unusable (a class absent, values that are not finite).
        """
        if isinstance(support, Examples):
            if task is None:
                raise TaskError("Examples do not define what their targets mean: give a task too.")
            return self._checked(support, task)
        if not isinstance(support, SupportSet):
            raise TaskError(f"A learner adapts to loaded images: medshot.load({str(support)!r}).")
        examples, card = support.support(self.encoder)
        predictor = self._checked(examples.to(any_tensor(self)), card.task)
        made_by = {"learner": described(self), "origin": self.origin, "source": self.source}
        return predictor.freeze().with_card(replace(card, learner=made_by))

    @abstractmethod
    def learn(self, support: Examples, task: Task) -> Predictor:
        """Predictor learned from `support`: `adapt` without its checks."""

    def support_features(self, x: Float[Tensor, "n c *s"]) -> Tensor:
        """Support features, for learners that use nothing else of the support images.

        The default is the encoder's output, as for queries. A learner may override it, for example
        to average over mirror images; caches of encoded images then use it for the support.
        """
        return self.encoder(x)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """Loss that meta-training minimizes: by default, the query loss after adapting."""
        predictor = self.learn(episode.support, episode.task)
        return episode.task.loss(predictor(episode.query.x), episode.query.y)

    def begin_step(self, step: int) -> None:
        """Hook before each meta-training step; `step` counts completed steps. No-op by default.

        For quantities that change during meta-training, such as an annealed weight.
        """

    def check(self, task: Task) -> None:
        """Raise `TaskError` if the learner does not support `task`."""
        if not isinstance(task, self.supports):
            able = " or ".join(kinds_among(self.supports))
            raise TaskError(
                f"{called(self)} does {able}, not {task.kind}. `medshot learners` lists all tasks."
            )
        keeps = getattr(self.encoder, "keeps_grid", task.on_grid)
        if keeps != task.on_grid and not (keeps and self.pools):
            given = "every pixel" if keeps else "the image as a whole"
            other = "unet" if task.on_grid else "conv4"
            raise TaskError(
                f"{called(self.encoder)} gives features of {given}, which does not suit "
                f"{task.kind}: use encoder={other!r}."
            )

        if task.from_image and not getattr(self.encoder, "begins_with_image", True):
            raise TaskError(
                f"The features of {called(self.encoder)} do not begin with the image, which "
                f"{task.kind} needs: use encoder='dncnn', or 'filters' with scaling='unit'."
            )

    def _checked(self, support: Examples, task: Task) -> Predictor:
        self.check(task)
        task.check(support.y)
        if not torch.isfinite(support.x).all():
            raise DataError(
                "The support holds values that are not finite (NaN or infinity). "
                "`medshot data check DIR` names the files."
            )
        with eval_mode(self):  # keep the support out of batch norm's statistics
            return self.learn(support, task)


# whether several tasks are processed at once by `torch.func.vmap`
_VECTORIZED: ContextVar[bool] = ContextVar("vectorised", default=False)


def vectorised() -> bool:
    """Whether tensors are batched over tasks: use `torch.func.grad` for gradients."""
    return _VECTORIZED.get()


@contextmanager
def vectorising() -> Iterator[None]:
    """Context in which `vectorised()` is true."""
    before = _VECTORIZED.set(True)
    try:
        yield
    finally:
        _VECTORIZED.reset(before)
