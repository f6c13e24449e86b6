"""From results that are kept to tables in pages, between their markers."""

import argparse
import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medshot.core.files import write_text

DOCS = Path(__file__).parents[1] / "docs"


def tables_options(about: str | None) -> argparse.Namespace:
    """What every script of tables is told: `source`, where a run is (or None), and `to`."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="source", type=Path, help="what the experiment wrote")
    parser.add_argument("--to", type=Path, default=DOCS)
    return parser.parse_args()


def kept_result(about: str | None, name: str) -> tuple[Any, Path]:
    """The result of an experiment, first taken over from a run where one is named; and the pages.

    It is kept in <to>/results/<name>/result.json.
    """
    options = tables_options(about)
    kept = options.to / "results" / name / "result.json"
    if options.source:
        write_text(kept, (options.source / "result.json").read_text())
    return json.loads(kept.read_text()), options.to


def made_on(found: dict[str, Any]) -> str:
    """The hardware and the commit of a result."""
    return f"{found['hardware']}; commit `{found['commit']}`."


def percent(found: Mapping[str, Any], sign: str = "") -> str:
    """A mean with its interval: `81.0 [75.2, 86.1]`; `sign="+"` for a difference."""
    mean, low, high = (f"{100 * found[part]:{sign}.1f}" for part in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


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
