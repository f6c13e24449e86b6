"""What experiments share: their options, hardware and commit of a result, tables in pages."""

import argparse
import csv
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from medshot.core.atomic import write_text

DOCS = Path(__file__).parents[1] / "docs"


def arguments(doc: str | None, *parts: str) -> argparse.ArgumentParser:
    """A parser whose help is `doc`. The first argument is one of `parts`, by default the first."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if parts:
        parser.add_argument("part", nargs="?", choices=parts, default=parts[0])
    return parser


def parse(
    doc: str | None, *parts: str, steps: int | None = None, sets: bool = True
) -> argparse.Namespace:
    """The options that most experiments share; --steps and --only where there is a choice."""
    parser = arguments(doc, *parts)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run and its result")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    if steps is not None:
        parser.add_argument("--steps", type=int, default=steps, help="meta-training steps")
    if sets:
        parser.add_argument("--only", nargs="*", metavar="SET", help="only these sets")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    return options


def hardware() -> str:
    """Processor, cores in the machine, threads used."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{model}, {os.cpu_count()} cores, {torch.get_num_threads()} thread(s)"


def commit() -> str:
    """The commit that this was run at, with a + where files had been changed since."""
    here = Path(__file__).parent
    run = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout.strip() or "unknown"


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


def read_csv(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV with a header."""
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
