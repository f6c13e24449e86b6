"""What is taken of all that was tried, how sure that is, and what to expect of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from medshot.core.learner import Learner
from medshot.evaluation.statistics import Interval
from medshot.select.bench import Bench
from medshot.select.redrawn import Redrawn
from medshot.select.space import Configuration
from medshot.select.tried import Tried, best_of

RULE = (
    "The best by the leading metric on patients left out is taken, of equals the best by the next "
    "metric, then the one tried first. The baseline is kept where nothing is better than it."
)


@dataclass(frozen=True, eq=False)
class Row:
    """A candidate; its score and the difference to the baseline, if it was tried to the end."""

    configuration: Configuration
    tried: Tried
    score: Interval | None
    minus: Interval | None


@dataclass(frozen=True, eq=False)
class Choice:
    """All rows, of which `chosen` is taken; the first is the simple baseline.

    `corrected` is what to expect of a choice among so many on new patients: the score of the winner
    flatters, as it is the best of many that were also lucky. None where nobody can be spared.
    """

    rows: tuple[Row, ...]
    chosen: Row
    corrected: Interval | None

    @property
    def baseline(self) -> Row:
        """What the others are compared with."""
        return self.rows[0]

    @property
    def sure(self) -> bool:
        """Whether the 95 % interval of its difference to the baseline is above 0."""
        return self.chosen.minus is not None and self.chosen.minus.low > 0

    @property
    def verdict(self) -> str:
        """The choice against the baseline, in words."""
        name = self.baseline.configuration.name
        if self.chosen is self.baseline:
            return f"Nothing that was tried did better than {name}: it is kept."
        if self.sure:
            return f"It is better than {name}."
        return (
            f"It cannot be told from {name}: the difference may be luck, and the interval of it "
            "holds 0."
        )


@dataclass(frozen=True, eq=False)
class Selection:
    """The learner that was chosen, and how: `choice` is None where nothing could be left out."""

    learner: Learner
    choice: Choice | None


def chosen_of(bench: Bench, tried: Sequence[tuple[Configuration, Tried]]) -> Choice:
    """Take the best of `tried`, of which the first is the baseline and was tried to the end."""
    whole = [i for i, (_, each) in enumerate(tried) if each.whole]
    redrawn = Redrawn(bench, [tried[i][1] for i in whole])
    rows = tuple(
        Row(
            *pair,
            redrawn.interval(whole.index(i)) if i in whole else None,
            redrawn.minus(whole.index(i), 0) if i in whole and i else None,
        )
        for i, pair in enumerate(tried)
    )
    best = best_of([each for _, each in tried])
    return Choice(rows, rows[best or 0], redrawn.corrected())
