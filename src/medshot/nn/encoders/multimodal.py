"""Multimodal encoder of images, tables, text and signals, any of which may be missing.

An example is one row of numbers. Each modality has a fixed range in it: a flag, 1 if present
and 0 if missing, then its values. The layout is the same for all data, so that any encoder of
such rows takes any of them, and a model trained with images can predict without.
"""

from collections.abc import Mapping
from math import prod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from medshot.core import ShapeError, part, unknown
from medshot.nn.encoder import Encoder, n_features
from medshot.nn.encoders.conv4 import Conv4
from medshot.nn.encoders.signal import SignalCNN, SignalGRU, SignalTransformer
from medshot.nn.layers import SelfAttention

RATE = 2000  # sampling rate of sounds, Hz
COLUMNS = 32  # columns of a table row, followed by a mask of the known ones
LAYOUT: dict[str, tuple[int, ...]] = {
    "image": (3, 64, 64),
    "table": (2, COLUMNS),
    "text": (1024,),
    "signal": (1, 4096),
}
WIDTH = sum(1 + prod(shape) for shape in LAYOUT.values())


def packed(parts: Mapping[str, Tensor]) -> Float[Tensor, "f"]:
    """Pack one example: its modalities by name, missing ones left out.

    Raises:
        ShapeError: a modality has another shape than in `LAYOUT`.
    """
    row = torch.zeros(WIDTH)
    for name, (first, last) in PLACES.items():
        if name in parts:
            if parts[name].shape != LAYOUT[name]:
                raise ShapeError(f"{name} is {tuple(parts[name].shape)}, not {LAYOUT[name]}.")
            row[first] = 1
            row[first + 1 : last] = parts[name].flatten()
    return row


def unpacked(
    x: Float[Tensor, "n f"],
) -> dict[str, tuple[Bool[Tensor, "n"], Float[Tensor, "n ..."]]]:
    """Presence and values of each modality, with zeros where it is missing."""
    return {
        name: (x[:, first] > 0.5, x[:, first + 1 : last].unflatten(1, LAYOUT[name]))
        for name, (first, last) in PLACES.items()
    }


def without(x: Float[Tensor, "n f"], name: str) -> Float[Tensor, "n f"]:
    """Copy of the examples with modality `name` marked as missing."""
    first, last = PLACES[name]
    found = x.clone()
    found[:, first:last] = 0
    return found


def _places() -> dict[str, tuple[int, int]]:
    found, first = {}, 0
    for name, shape in LAYOUT.items():
        last = first + 1 + prod(shape)
        found[name] = (first, last)
        first = last
    return found


PLACES = _places()  # range of each modality: its flag, then its values


@part("encoder", "hashed-text")
class HashedText(Encoder):
    """Linear embedding of hashed subword counts: a learned vector per hash, summed.

    Source: Joulin et al. 2017, arXiv:1607.01759 (bags of hashed n-grams). It is small, needs no
    download and no language model: it represents spelling, not meaning.
    """

    source = "Joulin et al. 2017, arXiv:1607.01759"
    dims = 0

    def __init__(self, *, channels: int = LAYOUT["text"][0], width: int = 256) -> None:
        super().__init__(channels, None, "unit")
        self.embedding = nn.Linear(channels, width, bias=False)
        nn.init.normal_(self.embedding.weight)  # unit-norm text gives unit-variance features
        self.n_features = width

    def forward(self, x: Float[Tensor, "n c"]) -> Float[Tensor, "n f"]:
        """Features of texts."""
        return self.embedding(self.scaled(x))


@part("encoder", "table")
class TableEncoder(Encoder):
    """Table columns, 0 where unknown, and their mask; with `hidden`, a hidden layer in addition.

    The hidden layer, linear with ReLU, is concatenated to the columns, so that a linear head on
    top can still use them directly.
    """

    source = "the table itself"
    dims = 1

    def __init__(self, *, channels: int = 2, size: int = COLUMNS, hidden: int = 0) -> None:
        super().__init__(channels, size, "unit")
        self.hidden = nn.Linear(2 * size, hidden) if hidden else None
        self.n_features = 2 * size + hidden
        self.register_buffer("nothing", torch.zeros(()))  # carries device and dtype

    def forward(self, x: Float[Tensor, "n c s"]) -> Float[Tensor, "n f"]:
        """Features of table rows."""
        row = self.scaled(x).flatten(1)
        return row if self.hidden is None else torch.cat([row, self.hidden(row).relu()], 1)


JOINS = ("attention", "late")
SIGNALS = {
    "signal-cnn": SignalCNN,
    "signal-gru": SignalGRU,
    "signal-transformer": SignalTransformer,
}


@part("encoder", "joined")
class Joined(Encoder):
    """One encoder per modality; `join` says how their features are fused.

    `late` concatenates them, each divided by the square root of its size, with a learned vector
    in place of a missing modality. `attention` makes one token of each modality, which a class
    token attends to; missing ones are masked. Attention needs training (meta-training or
    fine-tuning); untrained, use `late`.

    Source: late fusion of medical data as in Huang et al. 2020, doi:10.1038/s41746-020-00341-z;
    one token per modality, missing ones masked, as in Ma et al. 2022, arXiv:2204.05454. The layout
    of rows is that of `medshot.nn.encoders.multimodal`; `signal` names the signal encoder.
    """

    source = "Huang et al. 2020, doi:10.1038/s41746-020-00341-z"
    dims = 0

    def __init__(
        self,
        *,
        join: str = "late",
        width: int = 32,
        signal: str = "signal-cnn",
        hidden: int = 0,
    ) -> None:
        super().__init__(WIDTH, None, "unit")
        if join not in JOINS:
            raise unknown(join, JOINS, kind="fusion of modalities")
        size = LAYOUT["image"][1]
        branches = {
            "image": Conv4(size=size, width=width, halve="stride"),
            "table": TableEncoder(hidden=hidden),
            "text": HashedText(),
            "signal": _signal(signal),
        }
        self.branches = nn.ModuleDict(branches)
        counts = [n_features(branch) for branch in branches.values()]
        made = Late(counts) if join == "late" else Attention(counts, 2 * width)
        self.join: Late | Attention = made
        self.n_features = made.n_features

    def forward(self, x: Float[Tensor, "n f"]) -> Float[Tensor, "n g"]:
        """Features of examples."""
        self.check_form(x)
        parts = unpacked(x)
        there = torch.stack([parts[name][0] for name in self.branches], 1)
        found = [self._encoded(name, *parts[name]) for name in self.branches]
        return self.join(found, there)

    def _encoded(self, name: str, there: Bool[Tensor, "n"], values: Tensor) -> Tensor:
        branch = self.branches[name]
        if not there.any():  # missing in the whole batch
            return values.new_zeros(len(values), n_features(branch))
        return branch(values)


class Late(nn.Module):
    """Late fusion: concatenation of the features of all modalities."""

    def __init__(self, counts: list[int]) -> None:
        super().__init__()
        self.missing = nn.ParameterList(torch.zeros(count) for count in counts)
        self.n_features = sum(counts)

    def forward(self, found: list[Tensor], there: Bool[Tensor, "n m"]) -> Float[Tensor, "n f"]:
        """Concatenated features, with learned vectors for missing modalities."""
        columns = [
            torch.where(known[:, None], z / z.shape[1] ** 0.5, row)
            for z, known, row in zip(found, there.T, self.missing, strict=True)
        ]
        return torch.cat(columns, 1)


class Attention(nn.Module):
    """Attention fusion: a class token attends to one token per present modality."""

    def __init__(self, counts: list[int], width: int, heads: int = 4) -> None:
        super().__init__()
        self.tokens = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(count), nn.Linear(count, width)) for count in counts
        )
        self.kinds = nn.Parameter(torch.randn(1 + len(counts), width) / width**0.5)
        self.layer, self.last = SelfAttention(width, heads), nn.LayerNorm(width)
        self.n_features = width

    def forward(self, found: list[Tensor], there: Bool[Tensor, "n m"]) -> Float[Tensor, "n f"]:
        """Output at the class token, which always attends to itself."""
        tokens = [token(z) for token, z in zip(self.tokens, found, strict=True)]
        x = torch.stack([torch.zeros_like(tokens[0]), *tokens], 1) + self.kinds
        seen = torch.cat([torch.ones_like(there[:, :1]), there], 1)
        return self.last(self.layer(x, seen))[:, 0]


def _signal(name: str) -> Encoder:
    if name not in SIGNALS:
        raise unknown(name, SIGNALS, kind="signal encoder")
    return SIGNALS[name]()
