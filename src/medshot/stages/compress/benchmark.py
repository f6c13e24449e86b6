"""A program that loads predictors and asks them: how long each takes, and how much memory.

    python -m medshot.stages.compress.benchmark ROUNDS MODEL...     [{"milliseconds": 1.9, "memory":
    12.3}]

It is a process of its own, so that nothing else is in its memory. Peaks can be counted anew on
Linux only; elsewhere `memory` is null.
"""

import ctypes
import gc
import json
import statistics
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from medshot.core import Predictor, load_predictor

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
