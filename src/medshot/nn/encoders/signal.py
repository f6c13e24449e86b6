"""Signal encoders: a CNN, a GRU or a transformer on log spectrograms.

All use the same frames: windows of 128 samples with 50% overlap (64 ms at 2 kHz), log power at
65 frequencies. A signal is first standardized to mean 0 and standard deviation 1.
"""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import part
from medshot.nn.encoder import Encoder
from medshot.nn.layers import SelfAttention

WINDOW, STEP = 128, 64
FREQUENCIES = WINDOW // 2 + 1
FAINT = 1e-3  # added to the power before the log
HEADS = 4  # attention heads of the transformer


class SignalEncoder(Encoder, ABC):
    """Maps signals `n c t` to features `n f`; a subclass encodes the frames."""

    dims = 1
    cosines: Tensor
    sines: Tensor

    def __init__(
        self,
        *,
        channels: int = 1,
        size: int = 4096,
        width: int = 64,
        scaling: str = "standard",
    ) -> None:
        super().__init__(channels, size, scaling)
        turns = torch.arange(WINDOW)[:, None] * torch.arange(FREQUENCIES) * 2 * math.pi / WINDOW
        window = torch.hann_window(WINDOW)[:, None]
        self.register_buffer("cosines", window * turns.cos())
        self.register_buffer("sines", window * turns.sin())
        self.n_features = width
        self.build(FREQUENCIES * channels, width)

    def frames(self, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n g s"]:
        """Log power spectrogram of all channels."""
        windows = self.scaled(x).unfold(-1, WINDOW, STEP)
        power = (windows @ self.cosines).square() + (windows @ self.sines).square()
        return (power + FAINT).log().transpose(2, 3).flatten(1, 2)

    def forward(self, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n f"]:
        """Features of signals."""
        return self.read(self.frames(x))

    @abstractmethod
    def build(self, inputs: int, width: int) -> None:
        """Create the layers, from `inputs` values per frame to `width` features."""

    @abstractmethod
    def read(self, frames: Float[Tensor, "n g s"]) -> Float[Tensor, "n f"]:
        """Features of a sequence of spectra."""


@part("encoder", "signal-cnn")
class SignalCNN(SignalEncoder):
    """Three convolutions over time, each with pooling by 2, then the mean over time.

    Source: Wang et al. 2017, arXiv:1611.06455 (fully convolutional networks for time series), here
    on spectra, with group normalization.
    """

    source = "Wang et al. 2017, arXiv:1611.06455"

    def build(self, inputs: int, width: int) -> None:
        """Create the layers."""
        self.blocks = nn.Sequential(
            *_block(inputs, width), *_block(width, width), *_block(width, width)
        )

    def read(self, frames: Float[Tensor, "n g s"]) -> Float[Tensor, "n f"]:
        """Mean over time of the last map."""
        return self.blocks(frames).mean(2)


@part("encoder", "signal-gru")
class SignalGRU(SignalEncoder):
    """Gated recurrent unit, with the mean of its states.

    Source: Cho et al. 2014, arXiv:1406.1078.
    """

    source = "Cho et al. 2014, arXiv:1406.1078"

    def build(self, inputs: int, width: int) -> None:
        """Create the layers."""
        self.unit = nn.GRU(inputs, width, batch_first=True)

    def read(self, frames: Float[Tensor, "n g s"]) -> Float[Tensor, "n f"]:
        """Mean over time of the states."""
        return self.unit(frames.transpose(1, 2))[0].mean(1)


@part("encoder", "signal-transformer")
class SignalTransformer(SignalEncoder):
    """Two self-attention layers over frames with position codes; mean of the tokens.

    Source: Vaswani et al. 2017, arXiv:1706.03762 (with its sinusoidal position codes).
    """

    source = "Vaswani et al. 2017, arXiv:1706.03762"
    places: Tensor

    def build(self, inputs: int, width: int) -> None:
        """Create the layers."""
        self.token = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(SelfAttention(width, HEADS) for _ in range(2))
        self.register_buffer("places", _places(((self.size or WINDOW) - WINDOW) // STEP + 1, width))

    def read(self, frames: Float[Tensor, "n g s"]) -> Float[Tensor, "n f"]:
        """Mean over time of the tokens of the last layer."""
        x = self.token(frames.transpose(1, 2)) + self.places
        for layer in self.layers:
            x = layer(x)
        return x.mean(1)


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    convolution = nn.Conv1d(inputs, outputs, 3, padding=1)
    return [convolution, nn.GroupNorm(8, outputs), nn.ReLU(), nn.MaxPool1d(2, ceil_mode=True)]


def _places(n: int, width: int) -> Float[Tensor, "n w"]:
    rates = 10_000 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(n)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
