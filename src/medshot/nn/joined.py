"""One encoder of images, tables, texts and signals together, any of which may be missing."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from medshot.core.errors import unknown
from medshot.core.parts import part
from medshot.nn.conv4 import Conv4
from medshot.nn.encoder import Encoder, n_features
from medshot.nn.layout import LAYOUT, WIDTH, unpacked
from medshot.nn.row import HashedText, Table
from medshot.nn.self_attention import SelfAttention
from medshot.nn.signal import SignalCNN, SignalGRU, SignalTransformer

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
    learnt row in the place of what is missing. `attention` makes a token of each, which one more
    token looks at; what is missing is not looked at. Attention is to be trained (meta-trained or
    fine-tuned): untrained, `late` is the one to take.

    Source: late fusion of medical data as in Huang et al. 2020, doi:10.1038/s41746-020-00341-z;
    one token a modality, missing ones masked, as in Ma et al. 2022, arXiv:2204.05454. Rows are laid
    out as `medshot.nn.layout` says; `signal` names an encoder of signals.
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
        """What is there, and the learnt rows for what is not."""
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
