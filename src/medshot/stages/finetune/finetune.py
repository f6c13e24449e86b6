"""`medshot.finetune`: parameter-efficient fine-tuning of a predictor with L2-SP."""

from pathlib import Path

import torch

from medshot.core.episode import Examples
from medshot.core.errors import ConfigError, DataError, TaskError
from medshot.core.learner import Learner, SupportSet
from medshot.core.predictor import Predictor, any_tensor, eval_mode
from medshot.core.task import Task
from medshot.stages.finetune.fit import SOURCE, Descent, best_steps
from medshot.stages.finetune.methods import FineTuneMethod, get_method
from medshot.stages.finetune.trainable import TrainableCopy
from medshot.training.progress import Watch, quiet

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
