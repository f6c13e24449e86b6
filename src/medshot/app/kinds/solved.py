"""What the commands do alike for kinds of whole images that ridge regression can solve."""

from typing import Any

from medshot.app.finetuned import WAYS
from medshot.app.kinds.kind import Kind
from medshot.core.learner import Learner
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.select import Between, Family, OneOf

WIDE = {"encoder.width": OneOf((64, 16, 32))}
PENALTY = {"penalty": Between(0.001, 1000.0, starts=(0.1, 1.0, 10.0, 100.0))}
ONE_PENALTY = {"penalty": Between(0.001, 1000.0, starts=(1.0,))}  # for what takes long
DESCENT = {
    "lr": Between(1e-4, 0.1, starts=(0.003,)),
    "steps": Between(20, 200, starts=(50,)),
    "batch": 16,
}


class Solved(Kind):
    """A target an image that is encoded as a row of numbers."""

    encoder = "mobilenet"
    linear = "ridge"
    families = (
        Family("stacked-probe", "mobilenet", simple=True),
        Family("ridge", "conv4", WIDE | PENALTY),
        Family("ridge", "pixels", {"encoder.reduce": OneOf((2, 1, 4, 8)), **PENALTY}, simple=True),
        Family("finetune", "conv4", {"encoder.width": OneOf((32, 16, 64)), **DESCENT}),
        Family("ridge", "conv4", WIDE | ONE_PENALTY | WAYS),
    )

    def baseline(self, **form: Any) -> Learner:
        """Ridge regression on raw pixels."""
        return build("ridge", encoder=encoder("pixels", **form))
