"""Read one-dimensional signals from WAV files and text files."""

import struct
import warnings
from math import gcd
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from medshot.data.checks.issue import refusal
from medshot.nn.encoders.multimodal import LAYOUT, RATE

SAMPLES = LAYOUT["signal"][1]
WAV, TEXT = (".wav",), (".csv", ".txt")


def read_signal(path: Path) -> Float[Tensor, "1 t"]:
    """Read a signal of 4096 samples.

    A sound (.wav) is resampled to 2 kHz, its channels averaged; the first 2.048 seconds are taken,
    and a shorter one is padded with zeros. A column of numbers (.csv, .txt: one a line, or all in
    one line) has no known sampling rate: it is resampled to 4096 samples.

    Raises:
        DataError: no such file, not a signal, values that are not finite, or a constant signal.
    """
    suffix = path.suffix.lower()
    if suffix not in (*WAV, *TEXT):
        what = f"{suffix or 'no ending'} is no signal that is read"
        raise refusal(path, what, f"Give {', '.join((*WAV, *TEXT))}.").error()
    try:
        rate, values = _sound(path) if suffix in WAV else (0, _numbers(path))
    except (OSError, ValueError, EOFError, struct.error) as error:
        fix = "Export it again, or leave the cell empty."
        raise refusal(path, f"it cannot be read as a signal ({error})", fix).error() from error
    if len(values) < 2 or not np.isfinite(values).all() or values.min() == values.max():
        what = "it holds fewer than two different numbers, or some that are not finite"
        raise refusal(path, what, "Leave the cell empty where there is no signal.").error()
    fitted = _at_rate(values, rate) if rate else _stretched(values)
    return torch.from_numpy(fitted.astype(np.float32))[None]


def _sound(path: Path) -> tuple[int, Float[ndarray, "t"]]:
    from scipy.io import wavfile  # noqa: PLC0415  (few need it)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # unknown chunks, without samples
        rate, values = wavfile.read(path)
    return int(rate), values.reshape(len(values), -1).astype(np.float64).mean(1)


def _numbers(path: Path) -> Float[ndarray, "t"]:
    text = path.read_text(encoding="utf-8-sig").replace(",", " ").replace(";", " ")
    return np.array(text.split(), dtype=np.float64)


def _at_rate(values: Float[ndarray, "t"], rate: int) -> Float[ndarray, "s"]:
    from scipy.signal import resample_poly  # noqa: PLC0415  (few need it)

    if rate < 1:
        raise refusal(None, f"a rate of {rate} is none", "Export the sound again.").error()
    shared = gcd(RATE, rate)
    some = values[: -(-(SAMPLES + 1) * rate // RATE)] - values.mean()  # the part that is kept
    found = resample_poly(some, RATE // shared, rate // shared)[:SAMPLES]
    return np.pad(found, (0, SAMPLES - len(found)))


def _stretched(values: Float[ndarray, "t"]) -> Float[ndarray, "s"]:
    at = np.linspace(0, len(values) - 1, SAMPLES)
    return np.interp(at, np.arange(len(values)), values)
