"""A memory-augmented network: it reads the support as a sequence and writes it down.

A memory that a recurrent controller reads and writes: a neural Turing machine in small.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.errors import ConfigError, TaskError
from medshot.core.predictor import Predictor
from medshot.core.registry import part
from medshot.core.task import Task
from medshot.learners.base import OnFeatures
from medshot.learners.memory.addressing import (
    content_weights,
    label_logits,
    least_used,
    usage_after,
    write_weights,
)
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import MachineRecall
from medshot.tasks import Classification, one_hot


class ControllerState(NamedTuple):
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
class NeuralTuringMachine(nn.Module):
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
    ) -> tuple[Float[Tensor, "s v"], ControllerState]:
        """The memory, and the controller's state, after all examples one by one."""
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
        """Logits for each of `z`, as if it alone came next. Nothing is written."""
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


@register("ntm")
class NTM(OnFeatures):
    """An LSTM controller with a memory: found by likeness, written where it was least used.

    Source: Santoro, Bartunov, Botvinick, Wierstra & Lillicrap 2016, arXiv:1605.06065 (content
    reading, least recently used access), with the key strength of Graves, Wayne & Danihelka
    2014, arXiv:1410.5401. The paper's symbols: k_t are the heads' keys, M_t the memory of
    `slots` rows, w^r, w^w and w^u the weights of reading, writing and usage, gamma is `decay`,
    sigma(alpha) the gate, r_t what was read, n the number of `heads`.

    Where we differ:
    - The controller takes the label of the example before, as in the paper, where y_t comes with
      x_{t+1} so that x_t must be answered first. Nobody asks about a support image, so y_t is
      written in the same step as the key of x_t; the "previous" reading that the write gate
      chooses is that of x_t before it was written. A query is the next in the sequence, each by
      itself: it is read without writing, and no other query sees it.
    - A slot is a key and, in columns of its own, a label code; the answer is what the heads read
      there. The paper's layer from (h_t, r_t) to classes must learn what a label's code means.
    - The key is a map of the features plus the paper's map of the controller's state: images
      that are alike have like keys before anything is learned.
    - A key strength is learned for each head. The softmax of plain cosines over 128 slots, as the
      paper has it, is nearly flat.
    - Features replace pixels. Of equally used slots the first is taken; each head has its own.
      Which slots these are is a choice, and has no slope; all else is differentiated.
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
                f"{heads} heads write {heads} slots at once: take slots from {heads}."
            )
        self.encoder, self.way = encoder, way
        self.machine = NeuralTuringMachine(
            n_features(encoder), way, slots, width, heads, hidden, decay
        )

    def check(self, task: Task) -> None:
        """Also refuses more classes than a label code can tell apart."""
        super().check(task)
        if task.n_outputs > self.way:
            raise TaskError(
                f"This NTM has label codes for {self.way} classes, and the task has "
                f"{task.n_outputs}. Train one with way={task.n_outputs} or more."
            )

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Read the support in its order, and write."""
        matrix, moment = self.machine.write(z, one_hot(y, task.n_outputs, like=z))
        return MachineRecall(encoder, self.machine, matrix, *moment, k=task.n_outputs)
