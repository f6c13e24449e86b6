"""What predictors cost to keep and to ask: their size, their speed and their memory."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medshot.core import Predictor, Table, TrainingError

WEIGHTS = "weights.safetensors"
MEASURED_BY = "medshot.stages.compress.benchmark"


@dataclass(frozen=True)
class Cost:
    """Megabytes are of 10^6 bytes.

    `megabytes` is what the saved weights take on a disk; `milliseconds` the median processor time
    of an answer to one image on one thread, which is its latency where nothing else runs; `memory`
    the megabytes that loading the predictor and asking it add at their peak to those of the idle
    program, None where the system does not tell.
    """

    megabytes: float
    milliseconds: float
    memory: float | None


def costs(predictors: Mapping[str, Predictor], *, rounds: int = 50) -> dict[str, Cost]:
    """Save each to a temporary folder, and measure them there in a process of its own.

    They take turns: times are to be compared with each other, not with those of another call.

    Raises:
        SaveError: one cannot be saved: it has no card, or a part that is not registered.
        TrainingError: they could not be measured.
    """
    with tempfile.TemporaryDirectory() as place:
        saved = [p.save(Path(place) / str(i)) for i, p in enumerate(predictors.values())]
        found = _measured(rounds, saved)
        sizes = [(folder / WEIGHTS).stat().st_size / 1e6 for folder in saved]
    rows = (Cost(size, **figures) for size, figures in zip(sizes, found, strict=True))
    return dict(zip(predictors, rows, strict=True))


def _measured(rounds: int, saved: list[Path]) -> list[dict[str, Any]]:
    words = [sys.executable, "-m", MEASURED_BY, str(rounds), *map(str, saved)]
    paths = os.pathsep.join(path for path in sys.path if path)
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=alone)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it was killed"])[-1]
        raise TrainingError(f"Speed and memory could not be measured: {last}.")
    return json.loads(done.stdout)


def cost_table(known: Mapping[str, Cost]) -> Table:
    """A predictor a row: size, time and memory, and how many times smaller and faster."""
    first, *_ = known
    rows = []
    for name, cost in known.items():
        memory = "not known" if cost.memory is None else f"{cost.memory:.1f}"
        ratios = ("", "")
        if name != first:
            smaller = known[first].megabytes / cost.megabytes
            ratios = f"{smaller:.1f}x", f"{known[first].milliseconds / cost.milliseconds:.1f}x"
        rows.append((name, f"{cost.megabytes:.3f}", f"{cost.milliseconds:.2f}", memory, *ratios))
    heads = ("", "MB", "ms", "memory MB", "smaller", "faster")
    return Table("what each takes", heads, tuple(rows))
