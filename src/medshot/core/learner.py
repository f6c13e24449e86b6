"""A learner maps a support set to a predictor. That is the whole idea.

    learner.adapt(support, task) -> predictor          predictor(x) -> output

A learner's parameters are the meta-parameters: what meta-training changes. A predictor's
tensors are functions of them, so a query loss back-propagates into the learner through
`adapt`, whatever `adapt` does (a mean, a solver, ten steps of gradient descent).
"""

from abc import ABC, abstractmethod
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
    """A loaded folder: examples that know their task, labels and preprocessing."""

    def support(self, encoder: nn.Module) -> tuple[Examples, Card]:
        """All examples, in the form (channels, size) that `encoder` takes, and their card."""
        ...


class Learner(nn.Module, ABC):
    """Maps a support set to a predictor.

    A new learner is one file in `medshot/learners` with a subclass that writes `learn`.
    Neither `adapt` nor `learn` changes the learner: the same support gives the same
    predictor twice. State that survives an episode belongs in `meta_loss`.
    """

    encoder: nn.Module
    supports: ClassVar[tuple[type[Task], ...]]
    source: ClassVar[str]  # author, year, identifier
    trainable: ClassVar[bool] = True  # False: a baseline, nothing of it is meta-trained
    exact: ClassVar[bool] = True  # the meta-gradient is that of the query loss, all of it
    adapts_encoder: ClassVar[bool] = False  # True: `learn` changes the encoder's weights too
    chooses: ClassVar[bool] = False  # True: `learn` is that of another learner, whose encoder stays
    order_matters: ClassVar[bool] = False  # True: reads the support as a sequence
    vectorizes: ClassVar[bool] = False  # True: `meta_loss` works under torch.func.vmap
    transductive: ClassVar[bool] = False  # True: an answer depends on the other queries
    pools: ClassVar[bool] = False  # True: does whole images on an encoder that keeps the grid
    origin: str = "untrained"  # where the weights are from, for the record

    def adapt(self, support: Examples | SupportSet, task: Task | None = None) -> Predictor:
        """Learn from `support`: a loaded folder, or `Examples` with their `task`.

        Raises:
            TaskError: this learner does not do that kind of task.
            DataError: the support cannot teach it (a class absent, values that are not finite).
        """
        if isinstance(support, Examples):
            if task is None:
                raise TaskError("Examples do not know what their targets mean: give a task too.")
            return self._checked(support, task)
        if not isinstance(support, SupportSet):
            raise TaskError(f"A learner adapts to loaded images: medshot.load({str(support)!r}).")
        examples, card = support.support(self.encoder)
        predictor = self._checked(examples.to(any_tensor(self)), card.task)
        made_by = {"learner": described(self), "origin": self.origin, "source": self.source}
        return predictor.freeze().with_card(replace(card, learner=made_by))

    @abstractmethod
    def learn(self, support: Examples, task: Task) -> Predictor:
        """The predictor that `support` teaches. `adapt`, without its checks."""

    def support_features(self, x: Float[Tensor, "n c *s"]) -> Tensor:
        """What this learner reads of support images, where it reads features of its encoder only.

        By default what the encoder gives, as for any image. Another one may average over mirror
        images: then those who encode images once for many supports must do so too.
        """
        return self.encoder(x)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """What meta-training minimises. By default, the query loss after adapting."""
        predictor = self.learn(episode.support, episode.task)
        return episode.task.loss(predictor(episode.query.x), episode.query.y)

    def begin_step(self, step: int) -> None:
        """Told before each step of meta-training, `step` steps being done. By default, no matter.

        For what changes in the course of meta-training: a weight that is annealed, say.
        """

    def check(self, task: Task) -> None:
        """Raise `TaskError` if this learner cannot do `task`."""
        if not isinstance(task, self.supports):
            able = " or ".join(kinds_among(self.supports))
            raise TaskError(
                f"{called(self)} does {able}, not {task.kind}. `medshot learners` lists what does."
            )
        keeps = getattr(self.encoder, "keeps_grid", task.on_grid)
        if keeps != task.on_grid and not (keeps and self.pools):
            given = "every pixel" if keeps else "the image as a whole"
            other = "unet" if task.on_grid else "conv4"
            raise TaskError(
                f"{called(self.encoder)} gives features of {given}, which is not what "
                f"{task.kind} asks for: take encoder={other!r}."
            )

        if task.from_image and not getattr(self.encoder, "begins_with_image", True):
            raise TaskError(
                f"The features of {called(self.encoder)} do not begin with the image, from "
                f"which {task.kind} starts: take encoder='dncnn', or 'filters' with "
                "scaling='unit'."
            )

    def _checked(self, support: Examples, task: Task) -> Predictor:
        self.check(task)
        task.check(support.y)
        if not torch.isfinite(support.x).all():
            raise DataError(
                "The support holds values that are not finite (NaN or infinity). "
                "`medshot data check DIR` names the files."
            )
        with eval_mode(self):  # batch norm would note the support's statistics while training
            return self.learn(support, task)
