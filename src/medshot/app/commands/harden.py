"""`medshot harden`: go on learning under attack, and say what that costs and brings."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medshot.app.commands.stage import StageCommand
from medshot.stages.robustness.stage import Harden

if TYPE_CHECKING:
    from medshot.core.predictor import Predictor
    from medshot.stages.robustness.evaluate import Robustness


class HardenCommand(StageCommand[Harden]):
    """Judges under attack, and draws the score by epsilon."""

    result = "Hardened:   "

    def judge(self, after: "Predictor") -> tuple["Robustness", "Robustness"]:
        """Both at half of epsilon, epsilon, and twice that; of the second what tells of it too."""
        from medshot.app.terminal import announce
        from medshot.stages.robustness.evaluate import robustness
        from medshot.stages.robustness.threat_model import ThreatModel
        from medshot.training.progress import progress_bar

        announce("measuring both under attack, which can take longer than hardening")
        budget, images, seed = self.stage.threat, self.judged, self.stage.seed
        most = budget.measure.largest(images.x[0].numel())
        sizes = [size for size in (budget.epsilon * by for by in (0.5, 1, 2)) if size <= most]
        budgets = [ThreatModel(size, budget.norm) for size in sizes]
        watch = progress_bar("attack, before")
        before = robustness(self.given, images, budgets, checks=False, seed=seed, watch=watch)
        watch = progress_bar("attack, hardened")
        return before, robustness(after, images, budgets, checks=True, seed=seed, watch=watch)

    def add(self, staging: Path) -> None:
        """Write the curve of both."""
        from medshot.core.atomic import write_text
        from medshot.stages.robustness.attacks import PGD
        from medshot.stages.robustness.curve import curve, points_of

        before, after = self.found
        lines = {"before": points_of(before, PGD), "hardened": points_of(after, PGD)}
        drawn = curve(lines, before.clean.task.leading, "under PGD")
        write_text(staging / "robustness.svg", drawn)

    def show(self) -> None:
        """Print what it cost and what it brought."""
        from medshot.app.render import change_of, show_attacks, tell_of_masking
        from medshot.app.terminal import say

        before, after = self.found
        show_attacks({"before": before, "hardened": after}, self.where)
        tell_of_masking(after)
        clean, robust = change_of(before.clean, after.clean), change_of(*self._within_epsilon())
        metric, epsilon = before.clean.task.leading, self.stage.threat
        say(f"{metric}: {clean} on images as they are; {robust} under PGD within {epsilon}.")

    def record(self) -> dict[str, Any]:
        """Both in numbers, and what changed."""
        from medshot.stages.robustness.evaluate import signs

        before, after = self.found
        metric, (first, second) = before.clean.task.leading, self._within_epsilon()
        (model,) = self.models
        about = {"model": model, "data": self.shown.about(), "test": self.judged.about()}
        changes = {
            "clean_change": vars(after.clean.minus(before.clean, metric)),
            "robust_change": vars(second.minus(first, metric)),
        }
        found = {"before": before.to_json(), "after": after.to_json(), **changes}
        seconds = time.monotonic() - self.began
        return {**about, **self.stage.settings(), **found, "signs": signs(after)} | {
            "seconds": seconds
        }

    def _within_epsilon(self) -> list[Any]:
        from medshot.stages.robustness.attacks import PGD

        epsilon = str(self.stage.threat)
        return [
            next(row.answers for row in found.by(PGD) if str(row.attack.budget) == epsilon)
            for found in self.found
        ]
