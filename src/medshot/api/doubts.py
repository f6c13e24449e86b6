"""Warnings of a report by its scores: too sure, behind a simpler learner, or by place alone."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from shlex import join, split
from types import MappingProxyType
from typing import Any

from medshot.api.resolve import as_typed
from medshot.core import Learner
from medshot.evaluation import report as r

TOO_SURE = 0.1  # mean confidence above the share of right answers


def report_warnings(
    measured: Mapping[str, Any],
    chosen: str = "",
    control: str = "",
    advice: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Sentences on the fields of a report: too sure, or behind a simpler learner.

    That the learner `chosen`, which the predictor is of, should be taken is no advice. One that is
    not ahead of the baseline called `control`, which does not look at images, is warned of.
    `advice` is how to take each baseline.
    """
    differences = measured.get("differences", ())
    found = [*_behind((d for d in differences if d.baseline != chosen), control, advice)]
    if control and chosen.startswith(control):
        found.append(
            f"{chosen} was chosen, which does not look at the image: it marks the same place on "
            "every image. Nothing that looks did better on images left out. Give more images."
        )
    reliability = measured.get("reliability")
    return [*found, *overconfidence(reliability)] if reliability is not None else found


def _behind(
    differences: Iterable[r.Difference], control: str, advice: Mapping[str, str]
) -> Iterator[str]:
    for difference in differences:
        found, name = difference.estimate, difference.baseline
        looks = not (control and name.startswith(control))
        if looks and found.high < 0:
            how = f": {advice[name]}" if name in advice else "."
            yield (
                f"{name} scored higher on these images. Unless there is another reason for this "
                f"learner, take that one{how}"
            )
        elif not looks and (found.mean <= 0 or found.low <= 0):
            much = f"the difference in {difference.metric} is {found}"
            yield (
                f"It is not ahead of {name}, which does not look at the image and marks the same "
                f"place on every one ({much}): it may have learned the place alone. Do not rely on "
                "it before it is ahead on more images."
            )


def advice(learners: Mapping[str, Learner], command: str) -> dict[str, str]:
    """The command that adapts each of `learners`, by its name in the report."""
    typed = split(command) if command else []
    folders = list(takewhile(lambda word: not word.startswith("-"), typed[2:])) or ["IMAGES"]
    start = [*(typed[:2] or ["medshot", "adapt"]), *folders]
    return {
        name: f"{join(start)} {options} --out NEW"
        for name, each in learners.items()
        if (options := as_typed(each))
    }


def overconfidence(found: r.Reliability) -> Iterator[str]:
    """A sentence, where answers are surer than they are right."""
    weights = found.count / found.count.sum()
    said, was = float(found.confidence @ weights), float(found.accuracy @ weights)
    if said - was > TOO_SURE:
        yield (
            f"It is surer than it is right: {100 * said:.0f} % sure on average, and right in "
            f"{100 * was:.0f} %. Do not read its probabilities as chances."
        )
