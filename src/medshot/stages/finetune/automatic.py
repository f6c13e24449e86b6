"""Fine-tuning that is kept only if it lowers the cross-validated loss on the support."""

import copy
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from medshot.core import (
    ConfigError,
    Examples,
    Learner,
    Predictor,
    SupportSet,
    Task,
    TaskError,
    any_tensor,
    part,
)
from medshot.evaluation.cross_validation import folds_of
from medshot.nn.ensemble import Ensemble, mixed
from medshot.selection.auto import learn_at_size
from medshot.stages.finetune.learner import Chooses, Tuned
from medshot.stages.finetune.pointwise import AT_ONCE, SOURCE, Pointwise
from medshot.tasks import Classification

FOLDS = 3  # more take longer and choose the same (docs/stages/finetune.md)


@dataclass(frozen=True)
class Verdict:
    """Cross-validated mean loss without and with fine-tuning, where it could be computed."""

    frozen: float = float("nan")
    tuned: float = float("nan")
    why: str = ""  # why there is no loss

    @property
    def keeps(self) -> bool:
        """Whether fine-tuning lowers the loss; False without a loss."""
        return self.tuned < self.frozen

    def noted(self) -> dict[str, object]:
        """Record for a card."""
        if self.why:
            return {"kept": False, "why": self.why}
        losses = {"loss as it is": round(self.frozen, 4), "loss fine-tuned": round(self.tuned, 4)}
        return {"kept": self.keeps, **losses}


@part("learner", "auto-tuned")
class AutoTuned(Tuned):
    """Ensemble of `learner` on its encoder and on a copy fine-tuned on the support, if that helps.

    The ensemble averages the probabilities of both. Source and steps: `Pointwise`. The decision is
    by cross-validation on the support with up to `folds` folds by patient: if the mean loss of the
    ensemble is not lower than that of `learner` alone, or a class has only one patient, `learner`
    alone is used. Random numbers depend on the support only, so the same support gives the same
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
            raise ConfigError(f"folds={folds}, but cross-validation takes 2 or more.")
        self.learner, self.encoder, self.what = learner, learner.encoder, "auto"
        self.settings = {"blocks": blocks, "steps": steps, "lr": lr, "folds": folds}
        self.options = self.settings
        self.pointwise, self.folds = Pointwise(blocks, steps, lr), folds
        self.origin, self.transductive = learner.origin, learner.transductive  # type: ignore[misc]

    def check(self, task: Task) -> None:
        """Raise `TaskError` unless the task is a classification that `learner` supports."""
        if task.link != "softmax" or task.on_grid:
            raise TaskError(f"'auto' fine-tunes for classification, not {task.kind}: take 'lora'.")
        super().check(task)

    def adapt(self, support: Examples | SupportSet, task: Task | None = None) -> Predictor:
        """Adapt as any learner; for a folder, the card records whether fine-tuning was kept."""
        if isinstance(support, Examples):
            return super().adapt(support, task)
        chosen = self.choose(*self.examples_of(support))
        examples, known = chosen.examples_of(support)
        examples = examples.to(any_tensor(self))
        chosen.check(known)
        frozen = chosen.learner.adapt(support)
        verdict = chosen.verdict(examples, known)
        both = chosen.both(frozen, examples, known) if verdict.keeps else frozen
        said = {"what": self.what, **chosen.settings, **verdict.noted()}
        card = frozen.known_card().after("finetune", **said, source=SOURCE)
        return both.freeze().with_card(card)

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Learn, and again on the fine-tuned encoder if cross-validation favors it."""
        chosen = self.choose(support, task)
        if chosen is not self:
            return learn_at_size(chosen, support, task)
        frozen = chosen.learner.learn(support, task)
        keeps = chosen.verdict(support, task).keeps
        return chosen.both(frozen, support, task) if keeps else frozen

    @torch.no_grad()
    def verdict(self, support: Examples, task: Task) -> Verdict:
        """Cross-validated loss of `learner` alone and of the ensemble, on folds of `support`."""
        try:
            self.pointwise.check(self.learner.encoder)
        except ConfigError as error:
            return Verdict(why=str(error))
        folds = self._folds(support, task)
        if not folds:
            return Verdict(why="a class has only one patient, so it cannot be cross-validated")
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
        """Ensemble of `frozen` and of `learner` on the encoder fine-tuned on `support`."""
        before = self.learner.encoder
        moved = self.pointwise.moved(before, support, task.n_outputs)
        replaced: dict[int, Any] = {id(before): moved}
        tuned = copy.deepcopy(self.learner, replaced).learn(support, task)
        equal = next(iter(moved.parameters())).new_zeros(2)
        return Ensemble([frozen, tuned], [(), ()], equal, str(task.link))

    @torch.no_grad()
    def seconds(self, support: Examples, task: Task) -> float:
        """Estimate of the run time: times one adaptation and a few steps.

        0 where nothing would be fine-tuned. A learner that selects another is not run.
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
        return folds_of(task.present_classes(support.y.cpu()), groups.cpu(), most=self.folds)
