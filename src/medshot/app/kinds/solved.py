"""What the commands do alike for kinds of whole images that ridge regression can solve."""

from typing import Any

from medshot.app.kinds.kind import Kind
from medshot.core.learner import Learner
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.select import Auto

PENALTIES = (0.1, 1.0, 10.0, 100.0)


class Solved(Kind):
    """A target an image that is encoded as a row of numbers."""

    encoder = "conv4"
    linear = "ridge"

    def candidates(self) -> Auto:
        """Ridge regression with several penalties, on an untrained encoder and on pixels."""
        encoders = encoder("conv4"), encoder("pixels", reduce=2)
        pairs = [(e, penalty) for e in encoders for penalty in PENALTIES]
        return Auto([build("ridge", encoder=e, penalty=p) for e, p in pairs]).eval()

    def baseline(self, **form: Any) -> Learner:
        """Ridge regression on raw pixels."""
        return build("ridge", encoder=encoder("pixels", **form))
