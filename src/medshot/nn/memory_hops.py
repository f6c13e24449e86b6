"""A memory that is read several times over, each reading making the next question."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.memory_addressing import label_logits


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
