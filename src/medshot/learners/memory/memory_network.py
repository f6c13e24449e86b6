"""An end-to-end memory network: the support is a set of memories, read in several hops.

A memory that is read several times over, each reading making the next question.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.errors import ConfigError
from medshot.core.predictor import Predictor
from medshot.core.registry import part
from medshot.core.task import Task
from medshot.learners.base import OnFeatures
from medshot.learners.memory.addressing import label_logits
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import HopsRecall
from medshot.tasks import Classification, one_hot


@part("memory", "hops")
class Hops(nn.Module):
    """Embeddings of what is remembered and of what is asked, and the readings between them.

    Source and differences: see the learner `memory-network`.
    """

    def __init__(self, n_features: int, width: int, hops: int, strength: float) -> None:
        super().__init__()
        self.hops = hops
        self.to_input = nn.Linear(n_features, width, bias=False)
        self.to_output = nn.Linear(n_features, width, bias=False)
        self.carry = nn.Linear(width, width, bias=False)
        nn.init.orthogonal_(self.to_input.weight)
        nn.init.zeros_(self.to_output.weight)
        nn.init.eye_(self.carry.weight)
        self.strength = nn.Parameter(torch.tensor(float(strength)))
        self.agreement = nn.Parameter(torch.tensor(1.0))

    def remember(
        self, z: Float[Tensor, "n f"]
    ) -> tuple[Float[Tensor, "n w"], Float[Tensor, "n w"]]:
        """The input and the output embedding of each memory."""
        with torch.autocast(z.device.type, enabled=False):
            return self.to_input(z), self.to_output(z)

    def recall(
        self,
        z: Float[Tensor, "q f"],
        inputs: Float[Tensor, "n w"],
        outputs: Float[Tensor, "n w"],
        labels: Float[Tensor, "n k"],
    ) -> Float[Tensor, "q k"]:
        """Logits for each question `z`."""
        with torch.autocast(z.device.type, enabled=False):
            asked, belief = self.to_input(z), z.new_zeros(len(z), labels.shape[1])
            for _ in range(self.hops):
                likeness = self.strength * asked @ inputs.T + self.agreement * belief @ labels.T
                weights = likeness.softmax(1)
                asked = self.carry(asked) + weights @ outputs
                belief = belief + weights @ labels
            return label_logits(belief / self.hops)


@register("memory-network")
class MemoryNetwork(OnFeatures):
    """Reads all memories, asks again with what it read, and after some hops names the class.

    Source: Sukhbaatar, Szlam, Weston & Fergus 2015, arXiv:1503.08895. The paper's symbols: a
    memory's input embedding m_i = A x_i, its output embedding c_i = C x_i, the question u = B q,
    p_i = softmax(u . m_i), o = sum p_i c_i, the next question H u + o (weights tied from hop to
    hop), the answer softmax(W (o + u)).

    Where we differ:
    - The memories are images with labels, so x_i is the features of an image and its label code.
      A, C and H are blocks: the code has coordinates of its own, which C, H and W leave as they
      are and A multiplies by a number, `agreement`. So the second question also says which class
      the first reading believes in; no class is another's equal by accident, and any number of
      classes will do. W reads the codes, summed over hops, and a class's probability is its part
      of the sum. A free W would have to learn what codes mean, and learns slower.
    - B is A, as in the paper's adjacent tying: a question resembles the memories that look like
      it before anything is learned. For the same reason H begins as the identity and C's block of
      features as zero, and u . m_i is multiplied by a learned strength that begins at `strength`.
    - There is no encoding of time: order does not matter.
    """

    supports = (Classification,)
    source = "Sukhbaatar et al. 2015, arXiv:1503.08895"
    unit = True
    vectorizes = True

    def __init__(
        self, encoder: nn.Module, *, width: int = 64, hops: int = 3, strength: float = 10.0
    ) -> None:
        super().__init__()
        if hops < 1:
            raise ConfigError(f"hops is {hops}, but a memory that is never read says nothing.")
        self.encoder = encoder
        self.memory = Hops(n_features(encoder), width, hops, strength)

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Embed each support image twice, and keep its label."""
        labels = one_hot(y, task.n_outputs, like=z)
        return HopsRecall(encoder, self.memory, *self.memory.remember(z), labels)
