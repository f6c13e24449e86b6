"""What the commands of all stages share: a model and images in its form, and what was gained."""

from dataclasses import replace
from pathlib import Path

from medshot.app.render import INTERVALS
from medshot.app.terminal import say, show
from medshot.evaluation.comparison import Comparison


def judged_on(data: Path, test: Path | None) -> str:
    """On which images a stage is judged, as its tables say it."""
    return str(test) if test else f"{data}, which it learned from: this flatters"


def show_gains(found: Comparison, where: str) -> None:
    """Scores and differences, as a person reads them; `where` says on which images."""
    show(replace(found.table(), caption=f"on {where}, {INTERVALS}"))
    say_verdicts(found)


def say_verdicts(found: Comparison) -> None:
    """Whether the others are better or worse than the first, where the images can tell."""
    for verdict in found.verdicts():
        say(verdict)
