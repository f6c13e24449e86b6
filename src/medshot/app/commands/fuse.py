"""`medshot fuse`: one model out of several, beside the best of them."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medshot.app.commands.stage import StageCommand

if TYPE_CHECKING:
    from medshot.api.fuse import Judgement
    from medshot.core.predictor import Predictor


class FuseCommand(StageCommand[Any]):
    """Compares with every model, the best of them first."""

    result = "Fused: "
    refuses_shared = False  # what was fitted is judged out of fold, or a warning says it

    def read(self, folder: Path) -> Any:
        """The images in `folder`, in the form of the largest that a model takes."""
        from medshot.api.fuse import together
        from medshot.data.load import images_for

        return images_for(together(self.stage, self.given).known_card(), folder)

    def judge(self, after: "Predictor") -> "Judgement":
        """Every model and what they have become."""
        from medshot.api.fuse import judgement

        return judgement(self.stage, self.models, after, self.shown, self.judged)

    def show(self) -> None:
        """Print scores, and what flatters them."""
        from medshot.app.stage import show_gains
        from medshot.app.terminal import say

        show_gains(self.found.scores, self.found.where)
        for warning in self.found.warnings:
            say(warning, start="  - ")

    def record(self) -> dict[str, Any]:
        """What was fused, and all scores."""
        seconds = round(time.monotonic() - self.began, 1)
        about = {"models": list(self.models), "on": self.found.where}
        return {**self.did, **about, "scores": self.found.scores.gains(), "seconds": seconds}
