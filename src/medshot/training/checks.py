"""What meta-training refuses, before it begins and as it goes."""

import math

from medshot.core.errors import TaskError, TrainingError
from medshot.core.learner import Learner
from medshot.core.registry import called
from medshot.training.run import Run


def refuse_not_finite(loss: float, step: int, run: Run) -> None:
    """Raise `TrainingError` if the loss is NaN or infinite."""
    if not math.isfinite(loss):
        kept = f" The last checkpoint in {run.folder} is kept." if run.folder else ""
        raise TrainingError(
            f"The loss is {loss} at step {step}. Lower lr (and, for MAML, the inner lr), or "
            f"switch bf16 off.{kept}"
        )


def refuse_baseline(learner: Learner) -> None:
    """Raise `TaskError` if there is nothing to meta-train."""
    if not learner.trainable:
        raise TaskError(
            f"{called(learner)} is a baseline: it learns from the support alone and has "
            "nothing to meta-train. Use it as it is: `medshot adapt` or `medshot evaluate`."
        )
