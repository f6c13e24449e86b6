"""A term of the meta-objective."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.episode import Episode
from medshot.core.learner import Learner


class Term(nn.Module, ABC):
    """Added to the meta-loss of any learner: `medshot.train(..., terms=[term])`.

    It has nothing to be trained: what it holds stays as it is.
    """

    tasks: ClassVar[int] = 1  # how many episodes it looks at together
    source: ClassVar[str]  # author, year, identifier
    vectorises: ClassVar[bool] = True  # `value` works under torch.func.vmap, the learner's part too

    def check(self, learner: Learner) -> None:
        """Raise `ConfigError` if it cannot stand beside this learner's loss."""
        del learner

    @abstractmethod
    def value(self, learner: Learner, episodes: Sequence[Episode]) -> Float[Tensor, ""]:
        """What is added to the mean meta-loss of these `tasks` episodes."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What it is, for the record of a run."""
