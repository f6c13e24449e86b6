"""One encoder of images, tables, texts and signals together, any of which may be missing.

How an example of several kinds of data lies in one row of numbers.

Each kind has a place of its own: first a 1 if it is there or a 0 if it is missing, then its
values. The layout is the same for all data, so that any encoder of such rows takes any of them,
and what was learned with an image can be asked without.

Small encoders of rows of numbers: hashed text, and the columns of a table.
"""

from collections.abc import Mapping
from math import prod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from medshot.core.errors import ShapeError, unknown
from medshot.core.registry import part
from medshot.nn.encoder import Encoder, n_features
from medshot.nn.encoders.conv4 import Conv4
from medshot.nn.encoders.signal import SignalCNN, SignalGRU, SignalTransformer
from medshot.nn.layers import SelfAttention

RATE = 2000  # samples a second of a sound
COLUMNS = 32  # numbers of a table, and after them whether each is known
LAYOUT: dict[str, tuple[int, ...]] = {
    "image": (3, 64, 64),
    "table": (2, COLUMNS),
    "text": (1024,),
    "signal": (1, 4096),
}
WIDTH = sum(1 + prod(shape) for shape in LAYOUT.values())


def packed(parts: Mapping[str, Tensor]) -> Float[Tensor, "f"]:
    """One example: its kinds of data by name, those that are missing left out."""
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
    """Where each kind is there, and its values: zeros where it is not."""
    return {
        name: (x[:, first] > 0.5, x[:, first + 1 : last].unflatten(1, LAYOUT[name]))
        for name, (first, last) in PLACES.items()
    }


def without(x: Float[Tensor, "n f"], name: str) -> Float[Tensor, "n f"]:
    """The same examples, all of them without the kind of data called `name`."""
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


PLACES = _places()  # the flag and, after it, the values of each kind


@part("encoder", "hashed-text")
class HashedText(Encoder):
    """One matrix on the counts of hashed pieces of words: a learned embedding of pieces, summed.

    Source: Joulin et al. 2017, arXiv:1607.01759 (bags of hashed n-grams). It is small, needs no
    download and knows no language: it sees which letters are there, not what they mean.
    """

    source = "Joulin et al. 2017, arXiv:1607.01759"
    dims = 0

    def __init__(self, *, channels: int = LAYOUT["text"][0], width: int = 256) -> None:
        super().__init__(channels, None, "unit")
        self.embedding = nn.Linear(channels, width, bias=False)
        nn.init.normal_(self.embedding.weight)  # a text of length 1 gets features of deviation 1
        self.n_features = width

    def forward(self, x: Float[Tensor, "n c"]) -> Float[Tensor, "n f"]:
        """The features of texts."""
        return self.embedding(self.scaled(x))


@part("encoder", "table")
class Table(Encoder):
    """The columns as they are, 0 where unknown, and which are known; with `hidden`, a layer more.

    The hidden layer is one matrix and a ReLU, and stands beside the columns, not in their place:
    what a linear map can see in a table it still sees.
    """

    source = "the table itself"
    dims = 1

    def __init__(self, *, channels: int = 2, size: int = COLUMNS, hidden: int = 0) -> None:
        super().__init__(channels, size, "unit")
        self.hidden = nn.Linear(2 * size, hidden) if hidden else None
        self.n_features = 2 * size + hidden
        self.register_buffer("nothing", torch.zeros(()))  # so that it has a device and a type

    def forward(self, x: Float[Tensor, "n c s"]) -> Float[Tensor, "n f"]:
        """The features of rows."""
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
    """Each kind of data has an encoder of its own; `join` says how their features become one.

    `late` puts them one after the other, each divided by the root of how many there are, and a
    learned row in the place of what is missing. `attention` makes a token of each, which one more
    token looks at; what is missing is not looked at. Attention is to be trained (meta-trained or
    fine-tuned): untrained, `late` is the one to take.

    Source: late fusion of medical data as in Huang et al. 2020, doi:10.1038/s41746-020-00341-z;
    one token a modality, missing ones masked, as in Ma et al. 2022, arXiv:2204.05454. Rows are laid
    out as `medshot.nn.encoders.multimodal` says; `signal` names an encoder of signals.
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
            raise unknown(join, JOINS, kind="way to join")
        size = LAYOUT["image"][1]
        branches = {
            "image": Conv4(size=size, width=width, halve="stride"),
            "table": Table(hidden=hidden),
            "text": HashedText(),
            "signal": _signal(signal),
        }
        self.branches = nn.ModuleDict(branches)
        counts = [n_features(branch) for branch in branches.values()]
        made = Late(counts) if join == "late" else Attention(counts, 2 * width)
        self.join: Late | Attention = made
        self.n_features = made.n_features

    def forward(self, x: Float[Tensor, "n f"]) -> Float[Tensor, "n g"]:
        """The features of examples."""
        self.check_form(x)
        parts = unpacked(x)
        there = torch.stack([parts[name][0] for name in self.branches], 1)
        found = [self._encoded(name, *parts[name]) for name in self.branches]
        return self.join(found, there)

    def _encoded(self, name: str, there: Bool[Tensor, "n"], values: Tensor) -> Tensor:
        branch = self.branches[name]
        if not there.any():  # nobody has it: no need to look
            return values.new_zeros(len(values), n_features(branch))
        return branch(values)


class Late(nn.Module):
    """Features of all kinds, one after the other."""

    def __init__(self, counts: list[int]) -> None:
        super().__init__()
        self.missing = nn.ParameterList(torch.zeros(count) for count in counts)
        self.n_features = sum(counts)

    def forward(self, found: list[Tensor], there: Bool[Tensor, "n m"]) -> Float[Tensor, "n f"]:
        """What is there, and the learned rows for what is not."""
        columns = [
            torch.where(known[:, None], z / z.shape[1] ** 0.5, row)
            for z, known, row in zip(found, there.T, self.missing, strict=True)
        ]
        return torch.cat(columns, 1)


class Attention(nn.Module):
    """A token looks at one token of each kind that is there."""

    def __init__(self, counts: list[int], width: int, heads: int = 4) -> None:
        super().__init__()
        self.tokens = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(count), nn.Linear(count, width)) for count in counts
        )
        self.kinds = nn.Parameter(torch.randn(1 + len(counts), width) / width**0.5)
        self.layer, self.last = SelfAttention(width, heads), nn.LayerNorm(width)
        self.n_features = width

    def forward(self, found: list[Tensor], there: Bool[Tensor, "n m"]) -> Float[Tensor, "n f"]:
        """What the first token has become; it always sees itself."""
        tokens = [token(z) for token, z in zip(self.tokens, found, strict=True)]
        x = torch.stack([torch.zeros_like(tokens[0]), *tokens], 1) + self.kinds
        seen = torch.cat([torch.ones_like(there[:, :1]), there], 1)
        return self.last(self.layer(x, seen))[:, 0]


def _signal(name: str) -> Encoder:
    if name not in SIGNALS:
        raise unknown(name, SIGNALS, kind="encoder of signals")
    return SIGNALS[name]()
