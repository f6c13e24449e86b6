"""End-to-end memory network: the support is a set of memories, read in several hops."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Predictor, Task, part
from medshot.learners.base import OnFeatures
from medshot.learners.memory.ntm import label_logits
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import HopsRecall
from medshot.tasks import Classification, one_hot


@part("memory", "hops")
class Hops(nn.Module):
    """Embeddings of memories and queries, and the hops of attention between them.

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
        """Input and output embedding of each memory."""
        with torch.autocast(z.device.type, enabled=False):
            return self.to_input(z), self.to_output(z)

    def recall(
        self,
        z: Float[Tensor, "q f"],
        inputs: Float[Tensor, "n w"],
        outputs: Float[Tensor, "n w"],
        labels: Float[Tensor, "n k"],
    ) -> Float[Tensor, "q k"]:
        """Logits for each query in `z`."""
        with torch.autocast(z.device.type, enabled=False):
            query, belief = self.to_input(z), z.new_zeros(len(z), labels.shape[1])
            for _ in range(self.hops):
                similarity = self.strength * query @ inputs.T + self.agreement * belief @ labels.T
                weights = similarity.softmax(1)
                query = self.carry(query) + weights @ outputs
                belief = belief + weights @ labels
            return label_logits(belief / self.hops)


@register("memory-network")
class MemoryNetwork(OnFeatures):
    """Attends to the support in several hops, each conditioned on the previous one.

    Source: Sukhbaatar, Szlam, Weston & Fergus 2015, arXiv:1503.08895. The paper's symbols: a
    memory's input embedding m_i = A x_i, its output embedding c_i = C x_i, the query u = B q,
    p_i = softmax(u . m_i), o = sum p_i c_i, the next query H u + o (weights tied across hops),
    the output softmax(W (o + u)).

    Where we differ:
    - Memories are labeled images: x_i is the features of an image and its label code. A, C and H
      are block-diagonal: label codes have coordinates of their own, which C, H and W leave
      unchanged and A multiplies by a learned `agreement`. So the second query carries the class
      distribution of the first read, classes are treated symmetrically, and any number of classes
      works. W reads the codes, summed over hops, and class probabilities are their fractions. A
      free W would have to learn the meaning of codes, and learns slower.
    - B is A, as in the paper's adjacent tying: before training, a query matches the memories that
      look like it. For the same reason H starts as the identity and C's feature block as zero, and
      u . m_i is multiplied by a learned strength that starts at `strength`.
    - No temporal encoding: the order of the support does not matter.
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
            raise ConfigError(f"hops is {hops}, but must be at least 1 read of the memory.")
        self.encoder = encoder
        self.memory = Hops(n_features(encoder), width, hops, strength)

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Embed each support image and store its label."""
        labels = one_hot(y, task.n_outputs, like=z)
        return HopsRecall(encoder, self.memory, *self.memory.remember(z), labels)
