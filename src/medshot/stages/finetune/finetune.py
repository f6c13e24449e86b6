"""Parameter-efficient fine-tuning: Adam with L2-SP, number of steps by cross-validation."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils import parametrize

from medshot.core import (
    ConfigError,
    DataError,
    Examples,
    Learner,
    Predictor,
    SupportSet,
    Task,
    TaskError,
    any_tensor,
    eval_mode,
)
from medshot.evaluation.cross_validation import folds_of
from medshot.stages.finetune.methods import FineTuneMethod, TrainableCopy, get_method
from medshot.training.progress import Row, Watch, quiet
from medshot.training.trainer import batch_of, descend

SOURCE = "Li et al. 2018, arXiv:1802.01483"  # L2-SP


@dataclass(frozen=True)
class Descent:
    """Adam with learning rate `lr` and `batch` images a step; `pull` is the L2-SP weight.

    Source: Li, Grandvalet & Davoine 2018, arXiv:1802.01483 (L2-SP): half of `pull` times the
    squared distance to the initial weights is added to the loss.

    Where we differ: the distance is that of the effective weights of the layers, for all methods
    alike (for LoRA, of the weight plus B A). The head, which they initialize randomly and decay to
    zero, has its initial weights here too.
    """

    lr: float
    pull: float
    batch: int

    def __post_init__(self) -> None:
        if not 0 <= self.pull < math.inf or self.batch < 1:
            raise ConfigError(
                f"pull={self.pull} must be at least 0, and batch={self.batch} above 0."
            )

    def run(
        self,
        freed: TrainableCopy,
        examples: Examples,
        task: Task,
        steps: int,
        *,
        judge: Callable[[], float] | None = None,
        val_every: int = 10,
        folder: Path | None = None,
        watch: Watch = quiet,
    ) -> list[Row]:
        """Train `freed` for `steps` steps; returns the history of `medshot.training.trainer`."""

        def loss(step: int) -> Float[Tensor, ""]:
            shown = examples[batch_of(step, len(examples), self.batch)]
            with parametrize.cached():  # the loss and the distance use the same weights
                told = task.loss(freed.predictor(shown.x), shown.y)
                return told + self.pull / 2 * freed.distance()

        return descend(
            freed.predictor,
            loss,
            steps=steps,
            lr=self.lr,
            validate=judge,
            val_every=val_every,
            folder=folder,
            settings={**asdict(self), "what": freed.way.name, "moving": freed.moving},
            watch=watch,
        )


EVALUATIONS = 10  # validations of a run, without the one at its start

Start = Callable[[Examples], tuple[Predictor, Task]]


def best_steps(
    start: Start,
    support: Examples,
    task: Task,
    way: FineTuneMethod,
    descent: Descent,
    most: int,
    *,
    folder: Path | None = None,
    watch: Watch = quiet,
) -> int | None:
    """Number of steps, at most `most`, with the lowest cross-validated loss; None if impossible.

    Folds are by patient, 5 or as many as the rarest class has patients. For each, `start` gives a
    predictor and a task that were fitted without it; the predictor is fine-tuned on the other folds
    and validated on this one. 0 steps are among the choices.
    """
    groups = torch.full((len(support),), -1) if support.groups is None else support.groups
    losses, every = [], max(1, most // EVALUATIONS)
    for i, (rest, held) in enumerate(folds_of(task.present_classes(support.y.cpu()), groups.cpu())):
        seen, unseen = support[rest], support[held]
        began, known = start(seen)
        where = None if folder is None else folder / f"fold_{i + 1}"
        freed = TrainableCopy(began, way)
        curve = _curve(freed, seen, unseen, known, descent, most, every, where, watch)
        losses.append([len(unseen) * loss for loss in curve])
    judged = [curve for curve in losses if np.isfinite(curve[0])]  # else the fold has no labels
    if not judged:
        return None
    total = np.nan_to_num(np.sum(judged, 0), nan=np.inf)
    return min(every * int(np.argmin(total)), most)


def _curve(
    freed: TrainableCopy,
    seen: Examples,
    unseen: Examples,
    task: Task,
    descent: Descent,
    most: int,
    every: int,
    folder: Path | None,
    watch: Watch,
) -> Iterator[float]:
    """Loss on `unseen` at the start and after every `every` steps on `seen`."""

    @torch.no_grad()
    def judge() -> float:
        return float(task.loss(freed.predictor.predict_batches(unseen.x), unseen.y))

    yield judge()
    rows = descent.run(
        freed, seen, task, most, judge=judge, val_every=every, folder=folder, watch=watch
    )
    yield from (row["val_loss"] for row in rows)


STEPS, LR, PULL, BATCH = 50, 1e-3, 1.0, 32


def finetune(
    predictor: Predictor,
    support: Examples | SupportSet,
    what: str | FineTuneMethod = "lora",
    *,
    task: Task | None = None,
    steps: int = STEPS,
    lr: float = LR,
    pull: float = PULL,
    batch: int = BATCH,
    learner: Learner | None = None,
    unseen: bool = False,
    folder: Path | None = None,
    watch: Watch = quiet,
) -> Predictor:
    """Fine-tune a copy of `predictor` on `support`; `predictor` is not changed.

    Only the parameters of the method `what` are trained. There is no augmentation and no
    randomness, so the same support gives the same predictor.

    By default exactly `steps` steps are made. With `learner`, the one that adapted `predictor` to
    `support`, their number (at most `steps`) is chosen by cross-validation: the learner adapts to
    part of the support, and the loss on the rest is validated during fine-tuning. (The head of
    `predictor` itself has been fitted to all of the support, whose loss is no evidence.) With
    `unseen`, `support` is declared new to `predictor`, and validation starts from `predictor`.

    Raises:
        ConfigError: an unknown method, one without parameters here, or an invalid number.
        DataError: a class absent from `support`, other labels, values that are not finite.
        TaskError: neither `task` nor the predictor's card defines the task.
        TrainingError: the loss is no longer finite.
    """
    way = get_method(what) if isinstance(what, str) else what
    examples, task = _examples(predictor, support), _task(predictor, task)
    _check(examples, task)
    if steps < 0:
        raise ConfigError(f"steps={steps} must be 0 or more.")
    descent, freed = Descent(lr, pull, batch), TrainableCopy(predictor, way)
    chosen = None

    @torch.no_grad()
    def start(seen: Examples) -> tuple[Predictor, Task]:
        if learner is None:
            return predictor, task
        known = task.fitted(seen.y)
        with eval_mode(learner):
            return learner.learn(seen, known), known

    more = {"folder": folder, "watch": watch}
    if (learner or unseen) and steps:
        chosen = best_steps(start, examples, task, way, descent, steps, **more)
    made = steps if chosen is None else chosen
    descent.run(freed, examples, task, made, **more)
    return _noted(freed, predictor, way, made, chosen is not None, descent)


def _examples(predictor: Predictor, support: Examples | SupportSet) -> Examples:
    like = any_tensor(predictor)
    if isinstance(support, Examples):
        return support.to(like)
    form = next((m for m in predictor.modules() if hasattr(m, "channels")), predictor)
    examples, card = support.support(form)
    labels = predictor.known_card().labels
    if card.labels != labels:
        raise DataError(
            f"The images have the labels {', '.join(card.labels)}, and the predictor knows "
            f"{', '.join(labels)}. Take images with the labels of the predictor."
        )
    return examples.to(like)


def _task(predictor: Predictor, task: Task | None) -> Task:
    if task is None and predictor.card is None:
        raise TaskError("This predictor has no card that states its task: give a task too.")
    return predictor.known_card().task if task is None else task


def _check(support: Examples, task: Task) -> None:
    task.check(support.y)
    if not torch.isfinite(support.x).all():
        raise DataError(
            "The images hold values that are not finite (NaN or infinity). "
            "`medshot data check DIR` names the files."
        )


def _noted(
    freed: TrainableCopy,
    before: Predictor,
    way: FineTuneMethod,
    steps: int,
    judged: bool,
    descent: Descent,
) -> Predictor:
    """The result with a record on its card."""
    count, after = freed.moving, freed.settled()
    if before.card is None:
        return after
    said = {"what": way.name, "parameters": count, "steps": steps, "lr": descent.lr}
    by = "images left out" if judged else "whoever asked"
    said |= {"pull": descent.pull, "steps chosen by": by, "source": f"{way.source}; {SOURCE}"}
    return after.with_card(before.card.after("finetune", **said))
