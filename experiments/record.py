"""What every experiment writes beside its number: time, hardware, commit."""

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from medshot.core.atomic import write_text
from medshot.evaluation.episodes import EpisodeScores
from medshot.training.run import Run


def parse(doc: str | None, *, steps: int) -> argparse.Namespace:
    """The options that all experiments share."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run and its result")
    parser.add_argument("--steps", type=int, default=steps, help="meta-training steps")
    parser.add_argument("--only", nargs="*", help="only these sets, where there are several")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    return options


class Row:
    """One row of the results, filled as the experiment goes."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.file = folder / "result.json"
        self.about = about | {"hardware": hardware(), "commit": commit()}
        self._started = time.process_time()

    def trained(self) -> None:
        """Note the CPU minutes of meta-training so far, those of earlier processes included."""
        clock = self.file.with_name("clock.json")
        before = json.loads(clock.read_text())["cpu_minutes"] if clock.exists() else 0.0
        spent = before + (time.process_time() - self._started) / 60
        self._started = time.process_time()
        write_text(clock, json.dumps({"cpu_minutes": spent}) + "\n")
        self.about["cpu_minutes"] = round(spent, 1)

    def result(self, result: EpisodeScores, run: Run) -> None:
        """Write the row, and print it."""
        curve = [(row["step"], round(row["val_loss"], 4)) for row in run.history]
        self.about |= {**result.to_json(), "origin": run.learner.origin, "curve": curve}
        write_text(self.file, json.dumps(self.about, indent=2) + "\n")
        print(json.dumps({k: v for k, v in self.about.items() if k != "curve"}, indent=2))


@contextmanager
def record(folder: Path, **about: Any) -> Iterator[Row]:
    """A row whose clock starts now."""
    yield Row(folder, about)


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
