"""Memory-augmented neural network: a neural Turing machine reads the support as a sequence.

A memory is a matrix of s slots; addressing weights are nonnegative rows over the slots: reading is
by content, writing to the least recently used. Label codes occupy columns of their own, so reading
those columns gives a prediction.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Predictor, Task, TaskError, part
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import MachineRecall
from medshot.tasks import Classification, one_hot

NOTHING = 1e-2  # norm below which an empty slot's cosine goes to 0
FLOOR = 1e-6  # keeps the log finite


def content_weights(
    keys: Float[Tensor, "n h w"], memory: Float[Tensor, "s w"], strength: Float[Tensor, "h"]
) -> Float[Tensor, "n h s"]:
    """Softmax over slots of `strength` times the cosine between key and slot."""
    return (strength[:, None] * normalized_keys(keys) @ normalized_keys(memory).T).softmax(-1)


def normalized_keys(rows: Float[Tensor, "*n w"]) -> Float[Tensor, "*n w"]:
    """Approximately L2-normalized rows; near-zero rows stay short."""
    return rows / (rows.square().sum(-1, keepdim=True) + NOTHING**2).sqrt()


def least_used(usage: Float[Tensor, "s"], heads: int) -> Float[Tensor, "h s"]:
    """One-hot rows of the least used slots, a different one per head."""
    slots = usage.argsort(stable=True)[:heads]
    return F.one_hot(slots, len(usage)).to(usage)


def write_weights(
    gate: Float[Tensor, "h"], read: Float[Tensor, "h s"], least: Float[Tensor, "h s"]
) -> Float[Tensor, "h s"]:
    """Interpolate between the slots just read (`gate` 1) and the least used (`gate` 0)."""
    return gate[:, None] * read + (1 - gate[:, None]) * least


def usage_after(
    usage: Float[Tensor, "s"],
    read: Float[Tensor, "h s"],
    written: Float[Tensor, "h s"],
    decay: float,
) -> Float[Tensor, "s"]:
    """Decay `usage`, then add the read and write weights."""
    return decay * usage + read.sum(0) + written.sum(0)


def label_logits(mass: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Log of the mass read from the label columns; its softmax normalizes the mass."""
    return torch.log(mass + FLOOR)


class ControllerState(NamedTuple):
    """Controller state carried from one example to the next."""

    hidden: Float[Tensor, "n h"]
    cell: Float[Tensor, "n h"]
    read: Float[Tensor, "n r"]  # reads of all heads, concatenated
    label: Float[Tensor, "n y"]  # label code of the previous example


class Lookup(NamedTuple):
    """Lookup of one example: keys, read weights and read vectors of the heads."""

    keys: Float[Tensor, "n heads w"]
    weights: Float[Tensor, "n heads s"]
    read: Float[Tensor, "n heads v"]


@part("memory", "machine")
class NeuralTuringMachine(nn.Module):
    """LSTM controller with heads that read an external memory and write to it.

    A slot holds `width` numbers of content, compared with keys, and a label code of `way`
    numbers, which is not. Source and differences: see the learner `ntm`.
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
        nn.init.constant_(self.gate.bias, -2.0)  # start by writing each example to a new slot
        self.strength = nn.Parameter(torch.full((heads,), 10.0))

    def write(
        self, z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"]
    ) -> tuple[Float[Tensor, "s v"], ControllerState]:
        """Memory and controller state after writing all examples in order."""
        codes = nn.functional.pad(labels, (0, self.way - labels.shape[1]))
        memory, usage = z.new_zeros(self.slots, self.width + self.way), z.new_zeros(self.slots)
        moment = self._beginning(z)
        with torch.autocast(z.device.type, enabled=False):
            for example, code in zip(z.split(1), codes.split(1), strict=True):
                look, hidden, cell = self._look(example, memory, moment)
                memory, usage = self._store(look, hidden, code, memory, usage)
                moment = ControllerState(hidden, cell, look.read.flatten(1), code)
        return memory, moment

    def recall(
        self, z: Float[Tensor, "n f"], memory: Float[Tensor, "s v"], *moment: Tensor
    ) -> Float[Tensor, "n way"]:
        """Logits for each row of `z`, as if it alone came next, without writing."""
        before = ControllerState(*(part.expand(len(z), -1) for part in moment))
        with torch.autocast(z.device.type, enabled=False):
            look, _, _ = self._look(z, memory, before)
            return label_logits(look.read.mean(1)[:, self.width :])

    def _beginning(self, z: Tensor) -> ControllerState:
        state, label = z.new_zeros(1, self.hidden), z.new_zeros(1, self.way)
        return ControllerState(
            state, state, z.new_zeros(1, self.heads * (self.width + self.way)), label
        )

    def _look(
        self, z: Tensor, memory: Tensor, before: ControllerState
    ) -> tuple[Lookup, Float[Tensor, "n h"], Float[Tensor, "n h"]]:
        given = torch.cat([z, before.label, before.read], dim=1)
        hidden, cell = self.controller(given, (before.hidden, before.cell))
        keys = self.key_of_features(z) + self.key_of_state(hidden)
        keys = keys.unflatten(1, (self.heads, self.width))
        weights = content_weights(keys, memory[:, : self.width], self.strength)
        return Lookup(keys, weights, weights @ memory), hidden, cell

    def _store(
        self, look: Lookup, hidden: Tensor, code: Tensor, memory: Tensor, usage: Tensor
    ) -> tuple[Float[Tensor, "s v"], Float[Tensor, "s"]]:
        least, read = least_used(usage, self.heads), look.weights[0]
        written = write_weights(self.gate(hidden)[0].sigmoid(), read, least)
        rows = torch.cat([look.keys[0], code.expand(self.heads, -1)], dim=1)
        memory = memory * (1 - least.sum(0)[:, None]) + written.T @ rows
        return memory, usage_after(usage, read, written, self.decay)


@register("ntm")
class NTM(OnFeatures):
    """LSTM controller with external memory: content-based reads, least-used writes.

    Source: Santoro, Bartunov, Botvinick, Wierstra & Lillicrap 2016, arXiv:1605.06065 (content
    reading, least recently used access), with the key strength of Graves, Wayne & Danihelka
    2014, arXiv:1410.5401. The paper's symbols: k_t are the heads' keys, M_t the memory of
    `slots` rows, w^r, w^w and w^u the read, write and usage weights, gamma is `decay`,
    sigma(alpha) the gate, r_t the read vector, n the number of `heads`.

    Where we differ:
    - The controller receives the previous example's label, as in the paper, which delays y_t to
      x_{t+1} because x_t must be classified first. Support images are not classified, so y_t is
      written in the same step as the key of x_t; the "previous" read that the write gate can
      choose is that of x_t before writing. Each query comes next in the sequence by itself: it
      reads without writing, and queries do not affect each other.
    - A slot has a key and, in separate columns, a label code; the prediction is what the heads
      read there. The paper's layer from (h_t, r_t) to classes must learn the meaning of codes.
    - The key is a linear map of the features plus the paper's map of the controller state, so
      that similar images have similar keys before training.
    - A key strength is learned per head. The paper's softmax of plain cosines over 128 slots is
      nearly flat.
    - Features replace pixels. Ties in usage go to the first slot; each head gets a different one.
      The choice of slots has no gradient; everything else is differentiated.
    """

    supports = (Classification,)
    source = "Santoro et al. 2016, arXiv:1605.06065"
    unit = True
    order_matters = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int = 20,
        slots: int = 128,
        width: int = 40,
        heads: int = 4,
        hidden: int = 200,
        decay: float = 0.95,
    ) -> None:
        super().__init__()
        if not 1 <= heads <= slots:
            raise ConfigError(
                f"{heads} heads for {slots} slots: use at least one head, and one slot per head."
            )
        self.encoder, self.way = encoder, way
        self.machine = NeuralTuringMachine(
            n_features(encoder), way, slots, width, heads, hidden, decay
        )

    def check(self, task: Task) -> None:
        """Also raise `TaskError` for more classes than label codes."""
        super().check(task)
        if task.n_outputs > self.way:
            raise TaskError(
                f"This NTM has label codes for {self.way} classes, but the task has "
                f"{task.n_outputs}. Train one with way={task.n_outputs} or more."
            )

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Write the support to memory, in order."""
        matrix, moment = self.machine.write(z, one_hot(y, task.n_outputs, like=z))
        return MachineRecall(encoder, self.machine, matrix, *moment, k=task.n_outputs)
