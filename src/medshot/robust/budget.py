"""How much an attack may change: `epsilon`, and the norm that it is measured in."""

import math
from dataclasses import dataclass
from fractions import Fraction

from jaxtyping import Float
from torch import Tensor

from medshot.core.errors import ConfigError, unknown
from medshot.robust.norms import NORMS, Norm

Images = Float[Tensor, "n c *s"]


@dataclass(frozen=True)
class Budget:
    """All images in [0, 1] that are no further than `epsilon` from a given one.

    Raises:
        ConfigError: an epsilon that no two images are apart, or an unknown norm.
    """

    epsilon: float
    norm: str = "linf"

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise unknown(self.norm, NORMS, kind="norm")
        if not 0 < self.epsilon < math.inf:
            raise ConfigError(
                f"epsilon is {self.epsilon}, and must be above 0 and finite. Write 4/255 for four "
                "of 255 grey levels."
            )
        if self.norm == "linf" and self.epsilon > 1:
            raise ConfigError(
                f"epsilon is {self.epsilon:g}, and no two images in [0, 1] are further apart than "
                f"1. For grey levels write {self.epsilon:g}/255."
            )

    @property
    def measure(self) -> Norm:
        """The norm itself."""
        return NORMS[self.norm]

    def check(self, x: Images) -> None:
        """Refuse images outside of [0, 1], and an epsilon that leaves nothing of them."""
        if len(x) and not (x.min() >= 0 and x.max() <= 1):
            raise ConfigError(
                f"Images lie in [0, 1], and these go from {float(x.min()):g} to "
                f"{float(x.max()):g}. Divide 8-bit values by 255."
            )
        most = self.measure.largest(x[0].numel()) if len(x) else math.inf
        if self.epsilon > most:
            raise ConfigError(
                f"epsilon is {self.epsilon:g}, and images of {x[0].numel()} values are at most "
                f"{most:g} apart in {self.measure.said}. Take a smaller one."
            )

    def fitted(self, changed: Images, x: Images) -> Images:
        """`changed`, brought back to where it may be: in [0, 1] and near `x`."""
        change = self.measure.projected(changed.clamp(0, 1) - x, self.epsilon)
        return (x + change).clamp(0, 1)  # again: the sum is rounded

    def __str__(self) -> str:
        """As one writes it: `4/255` in grey levels, or the number."""
        levels = 255 * self.epsilon
        grey = self.norm == "linf" and math.isclose(levels, round(levels), abs_tol=1e-6)
        return f"{round(levels)}/255" if grey else f"{self.epsilon:g}"


def read_epsilon(text: str) -> float:
    """The number that is written as `4/255` or as `0.0157`.

    Raises:
        ConfigError: it is no number.
    """
    try:
        return float(Fraction(text.replace(" ", "")))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise ConfigError(
            f"epsilon is {text!r}, which is no number. Write 4/255, or 0.0157."
        ) from error
