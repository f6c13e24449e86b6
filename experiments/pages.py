"""Putting tables into pages, between their markers."""

import csv
import re
from pathlib import Path

from medshot.core.files import write_text


def fill(page: Path, block: str, text: str) -> None:
    """Put `text` between <!-- block:begin --> and <!-- block:end --> of `page`."""
    begin, end = f"<!-- {block}:begin -->", f"<!-- {block}:end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    filled, found = pattern.subn(lambda _: f"{begin}\n\n{text}\n{end}", page.read_text())
    if not found:
        raise ValueError(f"{page} has no block {block}")
    write_text(page, filled)


def learner_of(experiment: str) -> str:
    """The name of the learner of experiments/<experiment>.py."""
    return experiment.removeprefix("omniglot_").replace("_", "-").replace("mamlpp", "maml++")


def read_csv(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV with a header."""
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
