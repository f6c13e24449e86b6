"""`medshot compress`: from a model to one that is smaller and faster."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medshot.app.commands.stage import StageCommand
from medshot.stages.compress.stage import Compress

if TYPE_CHECKING:
    from medshot.core.predictor import Predictor
    from medshot.evaluation.comparison import Comparison


class CompressCommand(StageCommand[Compress]):
    """Does each step alone too, and measures what all cost; images to learn from need no labels."""

    refuses_shared = False  # images without labels may be those that are judged on

    def made(self, typed: Mapping[str, Any]) -> Compress:
        """The chain; all of its steps are checked here."""
        import torch

        from medshot.app.compress_chain import wanted_steps

        torch.manual_seed(typed["seed"])
        named = {name: typed[name] for name in ("prune", "distil", "quantise", "seed")}
        self.steps = wanted_steps(self.given, given=typed["set_"], **named)
        self.learning = {n: typed[n] for n in ("lr", "steps") if typed[n] is not None}
        return super().made(typed)

    def read(self, folder: Path) -> Any:
        """Images, with or without labels where they are to be learned from."""
        from medshot.app.compress_chain import pictures

        if folder == self.data:
            return pictures(self.given.known_card(), folder)
        return super().read(folder)

    def refuse(self) -> None:
        """Raise `DataError` if there are no labels to be judged on."""
        from medshot.core.errors import DataError
        from medshot.data.dataset import Dataset

        if not isinstance(self.judged, Dataset):
            raise DataError(
                f"{self.data} has no labels, so nothing can be judged on it: give --test."
            )

    def run(self, working: Path) -> "Predictor":
        """Each step alone, and the chain, which is saved."""
        from medshot.app.compress_chain import gather_scalars, in_steps

        steps = {n: partial(step, self.shown, self.learning) for n, step in self.steps.items()}
        self.all = in_steps(self.given, steps, working)
        gather_scalars(working)
        *_, last = self.all.values()
        return last

    def judge(self, after: "Predictor") -> "Comparison":
        """The scores of all, and what each costs."""
        from medshot.evaluation.comparison import compared
        from medshot.stages.compress.cost import costs

        found, self.known = compared(self.all, self.judged), costs(self.all)
        return found

    def show(self) -> None:
        """Print costs and scores."""
        from medshot.app.compress_chain import show_compressed

        show_compressed(self.known, self.found, self.where)

    def record(self) -> dict[str, Any]:
        """Costs and scores of each."""
        *_, last = self.all.values()
        (model,) = self.models
        return {
            "model": model,
            "data": str(self.data),
            "judged on": self.where,
            "stages": last.known_card().stages,
            "scores": self.found.gains(),
            "costs": {name: vars(cost) for name, cost in self.known.items()},
            "seconds": time.monotonic() - self.began,
        }
