"""A controller that decides what a memory writes and what it forgets."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.nn.memory_addressing import FLOOR

NEWS = 2  # what is told of an example: its loss, and the size of its gradient


class Gates(nn.Module):
    """Reads examples one by one; a write gate for each, a forget gate for each slot, both learnt.

    It sees what the example says (`news`), and how it compares with what is in the memory: how
    alike the keys are, whether the labels agree, how strong a slot still is, and whether the
    memory would have known the label. One small network serves all slots, so their number and
    order do not matter to it, nor does the number of classes.
    """

    def __init__(self, slots: int, hidden: int = 8) -> None:
        super().__init__()
        self.slots = slots
        self.write = _gate(2 + NEWS, hidden, start=2.0)
        self.forget = _gate(3 + NEWS, hidden, start=-4.0)

    def forward(
        self,
        likeness: Float[Tensor, "n n"],
        agreement: Float[Tensor, "n n"],
        news: Float[Tensor, "n 2"],
        sharpness: Float[Tensor, ""],
    ) -> tuple[Int[Tensor, "s"], Float[Tensor, "s"]]:
        """Which examples are in the memory in the end, and how strongly.

        `likeness` and `agreement` compare every two examples, in the order in which they come:
        the cosine of their keys (times `sharpness`, it is the logit of attention), and 1 where
        their labels are the same.
        """
        held = torch.zeros(0, dtype=torch.long, device=news.device)
        strength = news.new_zeros(0)
        for i, told in enumerate(news):
            near, same = likeness[i, held], agreement[i, held]
            attention = attend(sharpness * near, strength)
            written = self.write_gate(near, same, attention, told)
            strength = strength * (1 - self.forget_gate(near, same, strength, told))
            if len(held) == self.slots:
                left = torch.arange(self.slots, device=held.device) != strength.argmin()
                held, strength = held[left], strength[left]
            held = torch.cat([held, held.new_tensor([i])])
            strength = torch.cat([strength, written])
        return held, strength

    def write_gate(
        self,
        near: Float[Tensor, "s"],
        same: Float[Tensor, "s"],
        attention: Float[Tensor, "s"],
        told: Float[Tensor, "2"],
    ) -> Float[Tensor, "1"]:
        """How strongly an example is written, given what the memory would have answered."""
        known, alike = attention @ same, attention @ near
        return self.write(torch.cat([torch.stack([known, alike]), told])).sigmoid()

    def forget_gate(
        self,
        near: Float[Tensor, "s"],
        same: Float[Tensor, "s"],
        strength: Float[Tensor, "s"],
        told: Float[Tensor, "2"],
    ) -> Float[Tensor, "s"]:
        """How much of each slot the example makes the memory forget."""
        slots = torch.stack([near, same, strength], dim=1)
        return self.forget(torch.cat([slots, told.expand(len(slots), -1)], dim=1)).sigmoid()[:, 0]


def attend(likeness: Float[Tensor, "*n s"], strength: Float[Tensor, "s"]) -> Float[Tensor, "*n s"]:
    """The softmax over slots, each as if it were there `strength` times."""
    return (likeness + (strength + FLOOR).log()).softmax(-1)


def _gate(inputs: int, hidden: int, start: float) -> nn.Sequential:
    last = nn.Linear(hidden, 1)
    nn.init.constant_(last.bias, start)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), last)
