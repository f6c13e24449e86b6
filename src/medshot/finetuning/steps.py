"""How many steps: judged on images of the support that were left out, by patient."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from medshot.core.episode import Examples
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.evaluation.cross_validation import folds_of
from medshot.finetuning.descent import Descent
from medshot.finetuning.freed import Freed
from medshot.finetuning.way import Way
from medshot.training.progress import Watch, quiet

JUDGEMENTS = 10  # of a descent, that of its start not counted

Start = Callable[[Examples], tuple[Predictor, Task]]


def best_steps(
    start: Start,
    support: Examples,
    task: Task,
    way: Way,
    descent: Descent,
    most: int,
    *,
    folder: Path | None = None,
    watch: Watch = quiet,
) -> int | None:
    """After how many of `most` steps the loss on images left out is least; None if none can be.

    The support is cut into folds by patient, 5 or as many as the rarest class has patients. For
    each, `start` gives a predictor that has not seen it, and the task as it is known from the
    others; the loss on the fold is noted as this one is fine-tuned on the others. 0 steps are
    among the choices.
    """
    groups = torch.full((len(support),), -1) if support.groups is None else support.groups
    losses, every = [], max(1, most // JUDGEMENTS)
    for i, (rest, held) in enumerate(folds_of(task.shows(support.y.cpu()), groups.cpu())):
        seen, unseen = support[rest], support[held]
        began, known = start(seen)
        where = None if folder is None else folder / f"fold_{i + 1}"
        freed = Freed(began, way)
        curve = _curve(freed, seen, unseen, known, descent, most, every, where, watch)
        losses.append([len(unseen) * loss for loss in curve])
    judged = [curve for curve in losses if np.isfinite(curve[0])]  # else nothing is labelled there
    if not judged:
        return None
    total = np.nan_to_num(np.sum(judged, 0), nan=np.inf)
    return min(every * int(np.argmin(total)), most)


def _curve(
    freed: Freed,
    seen: Examples,
    unseen: Examples,
    task: Task,
    descent: Descent,
    most: int,
    every: int,
    folder: Path | None,
    watch: Watch,
) -> Iterator[float]:
    """The loss on `unseen` at the start and after each `every` steps on `seen`."""

    @torch.no_grad()
    def judge() -> float:
        return float(task.loss(freed.predictor.answer_all(unseen.x), unseen.y))

    yield judge()
    rows = descent.run(
        freed, seen, task, most, judge=judge, judge_every=every, folder=folder, watch=watch
    )
    yield from (row["val_loss"] for row in rows)
