"""Adversarial hardening of a saved model, measured under attack before and after."""

import time
from pathlib import Path
from typing import Any

from medshot.api.stage_runs import StageRun
from medshot.core import is_fraction
from medshot.core.atomic import write_text
from medshot.evaluation.cross_validation import OutOfFold
from medshot.stages.robustness.attacks import PGD
from medshot.stages.robustness.evaluate import (
    Robustness,
    attack_table,
    curve,
    robustness,
    signs,
    verdict,
)
from medshot.stages.robustness.stage import Harden
from medshot.stages.robustness.threat_model import ThreatModel


class HardenRun(StageRun[Harden]):
    """Scores under attack, and a plot of the score by epsilon."""

    def compare(self) -> tuple[Robustness, Robustness]:
        """Both at half of epsilon, epsilon and twice that; the second also for masking."""
        threat, images, seed = self.stage.threat, self.test_images, self.stage.seed
        largest = threat.measure.largest(images.x[0].numel())
        sizes = [size for size in (threat.epsilon * by for by in (0.5, 1, 2)) if size <= largest]
        threats = [ThreatModel(size, threat.norm) for size in sizes]
        before = robustness(
            self.given, images, threats, checks=False, seed=seed, watch=self.watch("attack, before")
        )
        watch = self.watch("attack, hardened")
        return before, robustness(
            self.predictor, images, threats, checks=True, seed=seed, watch=watch
        )

    def add_files(self, staging: Path) -> None:
        """Write the plot of both."""
        before, after = self.scores
        lines = {"before": before.points(PGD), "hardened": after.points(PGD)}
        drawn = curve(lines, before.clean.task.leading, "under PGD")
        write_text(staging / "robustness.svg", drawn)

    def show(self) -> None:
        """Tell scores under attack, signs of masked gradients, and cost against gain."""
        before, after = self.scores
        self.tell(attack_table({"before": before, "hardened": after}, self.where))
        self.tell(verdict(after))
        for sign in signs(after):
            self.tell(f"  - {sign}")
        clean = _change(before.clean, after.clean)
        robust = _change(*self._within_epsilon())
        metric = before.clean.task.leading
        self.tell(
            f"{metric}: {clean} on images as they are; {robust} under PGD within "
            f"{self.stage.threat}."
        )

    def to_json(self) -> dict[str, Any]:
        """Both in numbers, and the changes."""
        before, after = self.scores
        metric, (first, second) = before.clean.task.leading, self._within_epsilon()
        (model,) = self.models
        return {
            "model": model,
            "data": self.train_images.about(),
            "test": self.test_images.about(),
            **self.stage.settings(),
            "before": before.to_json(),
            "after": after.to_json(),
            "clean_change": vars(after.clean.minus(before.clean, metric)),
            "robust_change": vars(second.minus(first, metric)),
            "signs": signs(after),
            "seconds": time.monotonic() - self.began,
        }

    def _within_epsilon(self) -> list[OutOfFold]:
        epsilon = str(self.stage.threat)
        return [
            next(row.answers for row in found.by(PGD) if str(row.attack.budget) == epsilon)
            for found in self.scores
        ]


def _change(before: OutOfFold, after: OutOfFold) -> str:
    """Change of the leading metric: `-3.1 [-5.0, -1.0] points`."""
    metric = before.task.leading
    unit = " points" if is_fraction(metric) else ""
    return after.minus(before, metric).text(metric) + unit
