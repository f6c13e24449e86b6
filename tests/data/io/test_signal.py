"""Signals from files, and files that are none."""

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from medshot.core.errors import DataError
from medshot.data.io.signal import read_signal


def test_a_sound_is_brought_to_2_khz_and_keeps_its_tone(tmp_path):
    t = np.arange(8000 * 3) / 8000
    tone = (8000 * np.sin(2 * np.pi * 250 * t)).astype(np.int16)
    wavfile.write(tmp_path / "a.wav", 8000, np.stack([tone, tone], 1))
    found = read_signal(tmp_path / "a.wav")
    assert found.shape == (1, 4096)
    power = np.abs(np.fft.rfft(found[0].numpy()))
    assert power.argmax() == 250 * 4096 // 2000


def test_a_short_sound_is_followed_by_silence(tmp_path):
    rng = np.random.default_rng(0)
    wavfile.write(tmp_path / "a.wav", 2000, rng.integers(-99, 99, 1000).astype(np.int16))
    found = read_signal(tmp_path / "a.wav")[0]
    assert found[:1000].std() > 0
    assert not found[1000:].any()


def test_numbers_are_stretched(tmp_path):
    (tmp_path / "a.csv").write_text("0\n1\n3\n")
    found = read_signal(tmp_path / "a.csv")[0]
    assert (found[0], found[-1]) == (0, 3)
    torch.testing.assert_close(found[2047:2049].mean(), torch.tensor(1.0), atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.wav", None, "gone.wav.*cannot be read"),
        ("cut.wav", b"RIFF\x10", "cut.wav.*cannot be read"),
        ("text.csv", b"a,b\n", "text.csv.*cannot be read"),
        ("nan.csv", b"1\nnan\n2\n", "not finite"),
        ("flat.csv", b"1\n1\n", "fewer than two different"),
        ("empty.csv", b"", "fewer than two different"),
        ("a.mp3", b"", "mp3 is no signal"),
    ],
)
def test_what_is_no_signal_is_named(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_signal(tmp_path / name)
