"""A memory-augmented network: it reads the support as a sequence and writes it down."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.errors import ConfigError, TaskError
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.on_features import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.memory_machine import Machine
from medshot.nn.memory_recall import MachineRecall
from medshot.tasks import Classification, one_hot


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
      that are alike have like keys before anything is learnt.
    - A key strength is learnt for each head. The softmax of plain cosines over 128 slots, as the
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
        self.machine = Machine(n_features(encoder), way, slots, width, heads, hidden, decay)

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
