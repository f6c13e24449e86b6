"""A learner that fine-tunes what another has learned."""

from typing import Any, Protocol, TypeVar, runtime_checkable

from medshot.core.episode import Examples
from medshot.core.learner import Learner, SupportSet
from medshot.core.predictor import Predictor
from medshot.core.registry import part
from medshot.core.task import Task
from medshot.selection.auto import learn_at_size
from medshot.stages.finetune.finetune import BATCH, LR, PULL, STEPS, finetune
from medshot.stages.finetune.methods import get_method
from medshot.tasks import EVERY

Same = TypeVar("Same", bound="Tuned")


@runtime_checkable
class Chooses(Protocol):
    """A learner that first chooses another for the support."""

    def choose(self, support: Examples, task: Task) -> Learner:
        """The one that is chosen."""
        ...


class Tuned(Learner):
    """What `learner` learns, fine-tuned: a subclass says how, and calls it `what`."""

    learner: Learner
    what: str
    settings: dict[str, Any]  # numbers, for a report
    options: dict[str, Any]  # what it is made of, beside a learner

    supports = EVERY  # or fewer: as `learner` says
    source = "fine-tuning"
    trainable = False
    exact = False
    adapts_encoder = True

    def check(self, task: Task) -> None:
        """As `learner` does."""
        self.learner.check(task)

    def choose(self: Same, support: Examples, task: Task) -> Same:
        """This one around what its learner chooses, or itself."""
        if not isinstance(self.learner, Chooses):
            return self
        return type(self)(self.learner.choose(support, task), **self.options)

    def told(self, support: SupportSet) -> tuple[Examples, Task]:
        """The examples of a loaded folder, and their task."""
        examples, card = support.support(self.encoder)
        return examples, card.task


@part("learner", "fine-tuned")
class FineTuned(Tuned):
    """What `learner` learns, fine-tuned: see `medshot.finetune`.

    It is a learner like any other: an outer cross-validation, or episodes, judge the two together.
    How many steps are made, `steps` at most, is judged inside each support, for which `learner`
    adapts again to parts of it. A learner that chooses among others does so once a support.
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
        """As any learner; the card of what is learned from a folder names `learner` first."""
        if isinstance(support, Examples):
            return super().adapt(support, task)
        chosen = self.choose(*self.told(support))
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
