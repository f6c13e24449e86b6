"""Fine-tune where images left out say that it helps, and leave the learner as it is elsewhere."""

import copy
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from medshot.core.episode import Examples
from medshot.core.errors import ConfigError, TaskError
from medshot.core.learner import Learner, SupportSet
from medshot.core.predictor import Predictor, any_tensor
from medshot.core.registry import part
from medshot.core.task import Task
from medshot.evaluation.cross_validation import folds_of
from medshot.nn.ensemble import Ensemble, mixed
from medshot.selection.auto import learn_at_size
from medshot.stages.finetune.learner import Chooses, Tuned
from medshot.stages.finetune.pointwise import AT_ONCE, SOURCE, Pointwise
from medshot.tasks import Classification

FOLDS = 3  # more take longer, and choose the same (docs/stages/finetune.md)


@dataclass(frozen=True)
class Verdict:
    """What images left out say: the mean loss of each, where anything could be left out."""

    frozen: float = float("nan")
    tuned: float = float("nan")
    why: str = ""  # there is no number

    @property
    def keeps(self) -> bool:
        """Whether fine-tuning helps: no number is no help."""
        return self.tuned < self.frozen

    def noted(self) -> dict[str, object]:
        """For a card."""
        if self.why:
            return {"kept": False, "why": self.why}
        losses = {"loss as it is": round(self.frozen, 4), "loss fine-tuned": round(self.tuned, 4)}
        return {"kept": self.keeps, **losses}


@part("learner", "auto-tuned")
class AutoTuned(Tuned):
    """What `learner` learns, and with it what it learns on an encoder that the support has moved.

    Both answer, by the mean of their probabilities. Source and steps: `Pointwise`. The support is
    cut into up to `folds` folds by patient; each is answered by what the others teach, with the
    encoder as it is and with both. Where the mean loss is not less with both, `learner` is left as
    it is: where a class has one patient there is nothing to leave out, and it is so too. Nothing
    is drawn that does not depend on the support alone, so that the same support gives the same
    predictor.
    """

    supports = (Classification,)

    def __init__(
        self,
        learner: Learner,
        *,
        blocks: int = Pointwise.blocks,
        steps: int = Pointwise.steps,
        lr: float = Pointwise.lr,
        folds: int = FOLDS,
    ) -> None:
        super().__init__()
        if folds < 2:
            raise ConfigError(f"folds={folds}, but to leave something out takes 2 or more.")
        self.learner, self.encoder, self.what = learner, learner.encoder, "auto"
        self.settings = {"blocks": blocks, "steps": steps, "lr": lr, "folds": folds}
        self.options = self.settings
        self.pointwise, self.folds = Pointwise(blocks, steps, lr), folds
        self.origin, self.transductive = learner.origin, learner.transductive  # type: ignore[misc]

    def check(self, task: Task) -> None:
        """Raise `TaskError` unless classes are told, in a way that `learner` can."""
        if task.link != "softmax" or task.on_grid:
            raise TaskError(f"'auto' fine-tunes for classification, not {task.kind}: take 'lora'.")
        super().check(task)

    def adapt(self, support: Examples | SupportSet, task: Task | None = None) -> Predictor:
        """As any learner; the card of what is learned from a folder says whether it was kept."""
        if isinstance(support, Examples):
            return super().adapt(support, task)
        chosen = self.choose(*self.told(support))
        examples, known = chosen.told(support)
        examples = examples.to(any_tensor(self))
        chosen.check(known)
        frozen = chosen.learner.adapt(support)
        verdict = chosen.verdict(examples, known)
        both = chosen.both(frozen, examples, known) if verdict.keeps else frozen
        said = {"what": self.what, **chosen.settings, **verdict.noted()}
        card = frozen.known_card().after("finetune", **said, source=SOURCE)
        return both.freeze().with_card(card)

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Learn, and again on the moved encoder if images left out say so."""
        chosen = self.choose(support, task)
        if chosen is not self:
            return learn_at_size(chosen, support, task)
        frozen = chosen.learner.learn(support, task)
        keeps = chosen.verdict(support, task).keeps
        return chosen.both(frozen, support, task) if keeps else frozen

    @torch.no_grad()
    def verdict(self, support: Examples, task: Task) -> Verdict:
        """What images of `support` that are left out say of both, and of `learner` alone."""
        try:
            self.pointwise.check(self.learner.encoder)
        except ConfigError as error:
            return Verdict(why=str(error))
        folds = self._folds(support, task)
        if not folds:
            return Verdict(why="a class has one patient only, so nothing can be left out")
        losses = torch.zeros(2, dtype=torch.float64)
        for rest, held in folds:
            seen, unseen = support[rest], support[held]
            known = task.fitted(seen.y)
            both = self.both(self.learner.learn(seen, known), seen, known)
            said = torch.cat([both.said(part) for part in unseen.x.split(AT_ONCE)], 1)
            answers = said[0], mixed(said, both.scores, both.link)
            losses += len(held) * torch.stack([known.loss(a, unseen.y) for a in answers]).cpu()
        frozen, tuned = (losses / len(support)).tolist()
        return Verdict(frozen, tuned)

    @torch.no_grad()
    def both(self, frozen: Predictor, support: Examples, task: Task) -> Ensemble:
        """`frozen`, and what `learner` learns on the encoder that `support` has moved."""
        before = self.learner.encoder
        moved = self.pointwise.moved(before, support, task.n_outputs)
        replaced: dict[int, Any] = {id(before): moved}
        tuned = copy.deepcopy(self.learner, replaced).learn(support, task)
        equal = next(iter(moved.parameters())).new_zeros(2)
        return Ensemble([frozen, tuned], [(), ()], equal, str(task.link))

    @torch.no_grad()
    def seconds(self, support: Examples, task: Task) -> float:
        """About how long it will take: once is learned, a few steps are made, and both timed.

        0 where nothing would move. A learner that chooses another is not asked to.
        """
        folds = self._folds(support, task)
        try:
            moved = self.pointwise.seconds(self.learner.encoder, support, task.n_outputs)
        except ConfigError:
            return 0.0
        if not folds:
            return 0.0
        started = time.monotonic()
        if not isinstance(self.learner, Chooses):
            self.learner.learn(support, task)
        learned = time.monotonic() - started
        share = sum(len(rest) for rest, _ in folds) / len(support)
        return (1 + share) * (moved + 2 * learned)

    def _folds(self, support: Examples, task: Task) -> list[tuple[Tensor, Tensor]]:
        groups = torch.full((len(support),), -1) if support.groups is None else support.groups
        return folds_of(task.shows(support.y.cpu()), groups.cpu(), most=self.folds)
