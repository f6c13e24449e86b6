"""The stage `harden`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from medshot.stages.base import Stage, option


class Harden(Stage):
    """Make a model that holds out better against small changes of its images.

    Killed at any moment, the same command goes on. In OUT is also robustness.svg: the score by
    epsilon, before and after. Without --test it is evaluated on its training images, which is too
    optimistic.

    Example:

        medshot harden my_model --data my_images/ --epsilon 4/255 --out hardened --test others/
    """

    name = "harden"
    outcome = "hardened"
    helps: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "model": "A folder that `medshot adapt` or a stage made.",
            "out": "New folder for the hardened model; MODEL stays as it is.",
            "test": "Folder of other patients, to evaluate on.",
        }
    )

    attack: str = option("What to harden against: fgsm or pgd.", default="pgd")
    epsilon: float | str = option("How far values may be changed, of [0, 1].", default="4/255")
    norm: str = option("linf (each value) or l2 (all values together).", default="linf")
    attack_steps: int = option("Steps of pgd, as it learns.", default=7)
    share: float = option("Weight of attacked images; the rest are as they are.", default=0.5)
    steps: int = option("Steps of learning.", default=300)
    lr: float = option("Adam learning rate.", default=1e-3)
    batch: int = option("Images a step.", default=16)
    seed: int = option("Decides the order of images.", default=0, min=0)

    @property
    def threat(self) -> Any:
        """The `ThreatModel`: how large a change may be, in which norm."""
        from medshot.stages.robustness.threat_model import ThreatModel, read_epsilon

        size = read_epsilon(self.epsilon) if isinstance(self.epsilon, str) else self.epsilon
        return ThreatModel(size, self.norm)

    def settings(self) -> dict[str, Any]:
        """The options, epsilon as a number."""
        return {**super().settings(), "epsilon": self.threat.epsilon}

    def check(self, predictor: Any) -> None:
        """Raise `ConfigError` for an epsilon or a norm that cannot be."""
        del predictor
        self.threat  # noqa: B018

    def run(self, predictor: Any, data: Any, **work: Any) -> Any:
        """As `medshot.harden`."""
        from medshot.stages.robustness.harden import harden

        return harden(predictor, data, **self.settings(), **work)
