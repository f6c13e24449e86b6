"""Learners that adapt with another learner, then fine-tune."""

from typing import Any, Protocol, TypeVar, runtime_checkable

from medshot.core import Examples, Learner, Predictor, SupportSet, Task, part
from medshot.selection.auto import learn_at_size
from medshot.stages.finetune.finetune import BATCH, LR, PULL, STEPS, finetune
from medshot.stages.finetune.methods import get_method
from medshot.tasks import EVERY

Same = TypeVar("Same", bound="Tuned")


@runtime_checkable
class Chooses(Protocol):
    """Learner that first selects another one for the support."""

    def choose(self, support: Examples, task: Task) -> Learner:
        """The selected learner."""
        ...


class Tuned(Learner):
    """Base class: `learner`, followed by the fine-tuning `what` of a subclass."""

    learner: Learner
    what: str
    settings: dict[str, Any]  # numbers, for a report
    options: dict[str, Any]  # keyword arguments other than the learner

    supports = EVERY  # restricted to those of `learner`
    source = "fine-tuning"
    trainable = False
    exact = False
    adapts_encoder = True

    def check(self, task: Task) -> None:
        """As `learner` does."""
        self.learner.check(task)

    def choose(self: Same, support: Examples, task: Task) -> Same:
        """This learner around the one that its learner selects, or itself."""
        if not isinstance(self.learner, Chooses):
            return self
        return type(self)(self.learner.choose(support, task), **self.options)

    def examples_of(self, support: SupportSet) -> tuple[Examples, Task]:
        """The examples of a loaded folder, and their task."""
        examples, card = support.support(self.encoder)
        return examples, card.task


@part("learner", "fine-tuned")
class FineTuned(Tuned):
    """`learner` followed by fine-tuning: see `medshot.finetune`.

    It is a learner like any other, so that an outer cross-validation, or episodes, evaluate both
    steps together. The number of steps, at most `steps`, is chosen by an inner cross-validation on
    each support, for which `learner` adapts again to parts of it. A learner that selects among
    others does so once a support.
    """

    def __init__(
        self,
        learner: Learner,
        what: str = "lora",
        *,
        steps: int = STEPS,
        lr: float = LR,
        pull: float = PULL,
        batch: int = BATCH,
    ) -> None:
        super().__init__()
        self.learner, self.encoder, self.what = learner, learner.encoder, what
        self.settings = {"steps": steps, "lr": lr, "pull": pull, "batch": batch}
        self.options = {"what": what, **self.settings}
        self.origin, self.way = learner.origin, get_method(what)
        self.transductive = learner.transductive  # type: ignore[misc]

    def adapt(self, support: Examples | SupportSet, task: Task | None = None) -> Predictor:
        """Adapt as any learner; for a folder, the card names `learner` first."""
        if isinstance(support, Examples):
            return super().adapt(support, task)
        chosen = self.choose(*self.examples_of(support))
        return finetune(
            chosen.learner.adapt(support),
            support,
            self.way,
            learner=chosen.learner,
            **self.settings,
        )

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Learn, then fine-tune."""
        chosen = self.choose(support, task)
        if chosen is not self:
            return learn_at_size(chosen, support, task)
        learner = self.learner
        learned = learner.learn(support, task)
        return finetune(learned, support, self.way, task=task, learner=learner, **self.settings)
