"""A program that loads predictors and asks them: how long each takes, and how much memory.

    python -m medshot.stages.compress.benchmark ROUNDS MODEL...     [{"milliseconds": 1.9, "memory":
    12.3}]

It is a process of its own, so that nothing else is in its memory. Peaks can be counted anew on
Linux only; elsewhere `memory` is null.

What predictors cost to keep and to ask: their size, their speed and their memory.
"""

import ctypes
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from medshot.core.errors import TrainingError
from medshot.core.predictor import Predictor, load_predictor
from medshot.core.table import Table

WARM = 3  # answers that do not count
MMAP_THRESHOLD = -3  # the number of glibc's setting: from which size on a freed block is given back


@torch.inference_mode()
def main(rounds: int, folders: list[str]) -> list[dict[str, Any]]:
    """The figures of the predictors in `folders`, on one thread."""
    torch.set_num_threads(1)
    milliseconds = _milliseconds(rounds, [load_predictor(folder) for folder in folders])
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, 2**16)
    pairs = zip(milliseconds, folders, strict=True)
    return [{"milliseconds": ms, "memory": _memory(folder)} for ms, folder in pairs]


def _milliseconds(rounds: int, predictors: list[Predictor]) -> list[float]:
    """The median of `rounds` answers of each; they take turns, so that noise falls on all.

    It is processor time, which for one thread is the latency on a machine that does nothing else.
    """
    seconds: list[list[float]] = [[] for _ in predictors]
    images = [_image(predictor) for predictor in predictors]
    for _ in range(WARM + rounds):
        for predictor, x, taken in zip(predictors, images, seconds, strict=True):
            start = time.process_time()
            predictor(x)
            taken.append(time.process_time() - start)
    return [1e3 * statistics.median(taken[WARM:]) for taken in seconds]


def _image(predictor: Predictor) -> torch.Tensor:
    """One random image in the form that the predictor takes."""
    form = predictor.known_card().preprocessing
    sides = (getattr(form, "size", None) or 64,) * form.dims
    shape = (1, getattr(form, "channels", 1), *sides)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def _memory(folder: str) -> float | None:
    """The megabytes, at their peak, that loading a predictor and asking it add to what is used."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _bytes("VmRSS")
        predictor = load_predictor(folder)
        predictor(_image(predictor))
        return (_bytes("VmHWM") - before) / 1e6
    except (OSError, AttributeError):
        return None


def _bytes(name: str) -> int:
    """A size that Linux tells of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]), sys.argv[2:])))


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
