"""From results to tables in pages, between their markers."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medshot.core.atomic import write_text

DOCS = Path(__file__).parents[1] / "docs"


def markdown(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown, with a newline at its end."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def made_on(found: Mapping[str, Any]) -> str:
    """The hardware and the commit of a result."""
    return f"{found['hardware']}; commit `{found['commit']}`."


def percent(found: Mapping[str, Any], sign: str = "", digits: int = 1) -> str:
    """A mean with its interval: `81.0 [75.2, 86.1]`; `sign="+"` for a difference."""
    mean, low, high = (f"{100 * found[part]:{sign}.{digits}f}" for part in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def plus_minus(found: Mapping[str, Any], sign: str = "", digits: int = 1) -> str:
    """A mean with half of its interval: `81.0 ± 5.4`."""
    half = 50 * (found["high"] - found["low"])
    return f"{100 * found['mean']:{sign}.{digits}f} ± {half:.{digits}f}"


def ahead(found: Mapping[str, Any], digits: int = 1) -> str:
    """A difference whose mean alone has its sign: `+2.1 [0.4, 3.9]`."""
    low, high = (f"{100 * found[part]:.{digits}f}" for part in ("low", "high"))
    return f"{100 * found['mean']:+.{digits}f} [{low}, {high}]"


def fill(page: Path, block: str, text: str) -> None:
    """Put `text` between <!-- block:begin --> and <!-- block:end --> of `page`."""
    begin, end = f"<!-- {block}:begin -->", f"<!-- {block}:end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    filled, found = pattern.subn(lambda _: f"{begin}\n\n{text}\n{end}", page.read_text())
    if not found:
        raise ValueError(f"{page} has no block {block}")
    write_text(page, filled)


def learner_of(experiment: str) -> str:
    """The learner whose result is in the folder `experiment`."""
    return experiment.removeprefix("omniglot_").replace("_", "-").replace("mamlpp", "maml++")


def read_csv(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV with a header."""
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
