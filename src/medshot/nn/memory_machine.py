"""A memory that a recurrent controller reads and writes: a neural Turing machine in small."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.memory_addressing import (
    content_weights,
    label_logits,
    least_used,
    usage_after,
    write_weights,
)


class Moment(NamedTuple):
    """What the controller carries from one example to the next."""

    hidden: Float[Tensor, "n h"]
    cell: Float[Tensor, "n h"]
    read: Float[Tensor, "n r"]  # what all heads read, side by side
    label: Float[Tensor, "n y"]  # the code of the label of the example before


class Look(NamedTuple):
    """One example looked up: the keys of the heads, where they read, and what."""

    keys: Float[Tensor, "n heads w"]
    weights: Float[Tensor, "n heads s"]
    read: Float[Tensor, "n heads v"]


@part("memory", "machine")
class Machine(nn.Module):
    """An LSTM whose heads look up an example, and may then write it with its label.

    A slot holds `width` numbers of content, which keys are compared with, and a label code of
    `way` numbers, which they are not. Source and differences: see the learner `ntm`.
    """

    def __init__(
        self,
        n_features: int,
        way: int,
        slots: int,
        width: int,
        heads: int,
        hidden: int,
        decay: float,
    ) -> None:
        super().__init__()
        self.way, self.slots, self.width = way, slots, width
        self.heads, self.hidden, self.decay = heads, hidden, decay
        self.controller = nn.LSTMCell(n_features + way + heads * (width + way), hidden)
        self.key_of_features = nn.Linear(n_features, heads * width, bias=False)
        self.key_of_state = nn.Linear(hidden, heads * width, bias=False)
        self.gate = nn.Linear(hidden, heads)
        nn.init.constant_(self.gate.bias, -2.0)  # an example begins in a slot of its own
        self.strength = nn.Parameter(torch.full((heads,), 10.0))

    def write(
        self, z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"]
    ) -> tuple[Float[Tensor, "s v"], Moment]:
        """The memory, and the controller's state, after all examples one by one."""
        codes = nn.functional.pad(labels, (0, self.way - labels.shape[1]))
        memory, usage = z.new_zeros(self.slots, self.width + self.way), z.new_zeros(self.slots)
        moment = self._beginning(z)
        with torch.autocast(z.device.type, enabled=False):
            for example, code in zip(z.split(1), codes.split(1), strict=True):
                look, hidden, cell = self._look(example, memory, moment)
                memory, usage = self._store(look, hidden, code, memory, usage)
                moment = Moment(hidden, cell, look.read.flatten(1), code)
        return memory, moment

    def recall(
        self, z: Float[Tensor, "n f"], memory: Float[Tensor, "s v"], *moment: Tensor
    ) -> Float[Tensor, "n way"]:
        """Logits for each of `z`, as if it alone came next. Nothing is written."""
        before = Moment(*(part.expand(len(z), -1) for part in moment))
        with torch.autocast(z.device.type, enabled=False):
            look, _, _ = self._look(z, memory, before)
            return label_logits(look.read.mean(1)[:, self.width :])

    def _beginning(self, z: Tensor) -> Moment:
        state, label = z.new_zeros(1, self.hidden), z.new_zeros(1, self.way)
        return Moment(state, state, z.new_zeros(1, self.heads * (self.width + self.way)), label)

    def _look(
        self, z: Tensor, memory: Tensor, before: Moment
    ) -> tuple[Look, Float[Tensor, "n h"], Float[Tensor, "n h"]]:
        given = torch.cat([z, before.label, before.read], dim=1)
        hidden, cell = self.controller(given, (before.hidden, before.cell))
        keys = self.key_of_features(z) + self.key_of_state(hidden)
        keys = keys.unflatten(1, (self.heads, self.width))
        weights = content_weights(keys, memory[:, : self.width], self.strength)
        return Look(keys, weights, weights @ memory), hidden, cell

    def _store(
        self, look: Look, hidden: Tensor, code: Tensor, memory: Tensor, usage: Tensor
    ) -> tuple[Float[Tensor, "s v"], Float[Tensor, "s"]]:
        least, read = least_used(usage, self.heads), look.weights[0]
        written = write_weights(self.gate(hidden)[0].sigmoid(), read, least)
        rows = torch.cat([look.keys[0], code.expand(self.heads, -1)], dim=1)
        memory = memory * (1 - least.sum(0)[:, None]) + written.T @ rows
        return memory, usage_after(usage, read, written, self.decay)
