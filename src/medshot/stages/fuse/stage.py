"""Declaration of the stage `fuse`: several predictors, or snapshots of one, become one."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from medshot.core import ConfigError, unknown
from medshot.stages.base import Stage, option

SNAPSHOTS = "snapshots"


class Fuse(Stage):
    """Fuse models that answer the same question; they themselves stay as they are.

    `weighted` averages probabilities with weights that are fitted to --data, `stack` fits a linear
    map, `mean` and `soup` fit nothing; `soup` averages the weights of models that descend from the
    same network. Images that a model has learned from are refused where something is fitted.

    `snapshots` takes one model, fine-tunes it on --data in cycles, and averages what it was at the
    end of each. It goes on if it is cut short.

    Without --test the fused model is judged on --data, what is fitted out of fold, patient by
    patient. For a folder that a model learned from the table says that this flatters.

    Examples:

        medshot fuse model_a model_b --data held_out/ --out both

        medshot fuse model_a --how snapshots --data my_images/ --test others/ --out steadier
    """

    name = "fuse"
    outcome = "fused"
    several = True
    helps: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "model": "Folders that `medshot adapt` made, two or more.",
            "data": "Labelled images that none of the models has learned from.",
            "out": "New folder for the fused model.",
            "test": "Other labelled images, to evaluate on.",
        }
    )

    how: str = option(
        "mean, weighted, stack, soup, greedy-soup; snapshots (of one model).", default="weighted"
    )
    cycles: int | None = option("Of snapshots.", default=None, shown="4")
    steps: int | None = option("A cycle of snapshots.", default=None, shown="100")
    lr: float | None = option("At the beginning of each cycle.", default=None, shown="0.001")

    @property
    def of_snapshots(self) -> dict[str, Any]:
        """The given options that are for snapshots."""
        return {name: value for name, value in self.settings().items() if name != "how"}

    def check(self, predictor: Sequence[Any]) -> None:
        """Raise `ConfigError` for an unknown `how`, or another number of predictors."""
        from medshot.stages.fuse.fuse import HOWS

        if self.how not in (*HOWS, SNAPSHOTS):
            raise unknown(self.how, (*HOWS, SNAPSHOTS), kind="way to fuse")
        if self.how == SNAPSHOTS and len(predictor) != 1:
            raise ConfigError(f"Snapshots are of one model, not of {len(predictor)}.")
        if self.how != SNAPSHOTS and self.of_snapshots:
            names = ", ".join(f"--{name}" for name in self.of_snapshots)
            raise ConfigError(f"{names} is for --how snapshots: leave it out.")

    def run(self, predictor: Sequence[Any], data: Any, *, watch: Any, **work: Any) -> Any:
        """Run `medshot.fuse`; the card starts a new list of stages, which names the members."""
        from medshot.stages.fuse.fuse import fuse, fused_snapshots

        if self.how == SNAPSHOTS:
            return fused_snapshots(predictor[0], data, watch=watch, **work, **self.of_snapshots)
        return fuse(list(predictor), data, how=self.how, watch=watch)
