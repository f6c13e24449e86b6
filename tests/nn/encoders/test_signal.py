"""Spectra against NumPy's transform, and three ways to read them."""

import numpy as np
import pytest
import torch

import medshot
from medshot.nn.encoders.signal import FAINT, STEP, WINDOW, SignalCNN

NAMES = ("signal-cnn", "signal-gru", "signal-transformer")


def test_frames_are_the_log_power_of_a_windowed_transform():
    encoder = SignalCNN(size=512, width=8, scaling="unit")
    x = torch.randn(2, 1, 512)
    found = encoder.frames(x)
    window = torch.hann_window(WINDOW).numpy()
    for t in range(found.shape[2]):
        piece = x[1, 0, t * STEP : t * STEP + WINDOW].numpy() * window
        slow = np.log(np.abs(np.fft.rfft(piece)) ** 2 + FAINT)
        np.testing.assert_allclose(found[1, :, t], slow, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_one_signal_alone_gets_what_it_gets_among_others(name):
    encoder, x = medshot.encoder(name, size=512, width=8), torch.randn(4, 1, 512)
    found = encoder(x)
    assert found.shape == (4, 8)
    torch.testing.assert_close(encoder(x[:1]), found[:1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(encoder(3 * x + 2), found, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_tones_of_two_heights_can_be_told_apart(name):
    torch.manual_seed(0)
    t, y = torch.arange(512) / 512, torch.arange(2).repeat(12)
    pitch = torch.where(y == 0, 40.0, 60.0)[:, None]
    x = (torch.sin(2 * torch.pi * (pitch * t + torch.rand(24, 1))))[:, None]
    x = x + 0.3 * torch.randn_like(x)
    task = medshot.Classification(2)
    learner = medshot.build("linear-probe", encoder=medshot.encoder(name, size=512))
    found = learner.adapt(medshot.core.episode.Examples(x[:12], y[:12]), task)
    assert (found(x[12:]).argmax(1) == y[12:]).double().mean() > 0.8
