"""Predictors that answer from a memory: what was written, and the module that reads it."""

from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.features import Head


class Recall(Head):
    """Whatever `memory.recall` answers to an image's features from what was `written`.

    Nothing is written by an image that is asked about: one alone gets the answer that it gets
    among others.
    """

    def __init__(self, encoder: nn.Module, memory: nn.Module, **written: Tensor) -> None:
        super().__init__(encoder, unit=True, **written)
        self.memory, self._written = memory, list(written)

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """A logit a class."""
        return self.memory.recall(z, *(getattr(self, name) for name in self._written))  # type: ignore[operator]


@part("predictor", "machine-recall")
class MachineRecall(Recall):
    """Reads what a `Machine` wrote, as the machine left off: each image is the next one."""

    def __init__(
        self,
        encoder: nn.Module,
        memory: nn.Module,
        matrix: Float[Tensor, "s v"],
        hidden: Float[Tensor, "1 h"],
        cell: Float[Tensor, "1 h"],
        read: Float[Tensor, "1 r"],
        label: Float[Tensor, "1 way"],
        k: int,
    ) -> None:
        super().__init__(
            encoder, memory, matrix=matrix, hidden=hidden, cell=cell, read=read, label=label
        )
        self.k = k

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """A logit a class: the codes that no class of the task has are left out."""
        return super().answer(z)[:, : self.k]


@part("predictor", "hops-recall")
class HopsRecall(Recall):
    """Reads memories, embedded twice by `Hops`, and their labels."""

    def __init__(
        self,
        encoder: nn.Module,
        memory: nn.Module,
        inputs: Float[Tensor, "s w"],
        outputs: Float[Tensor, "s w"],
        labels: Float[Tensor, "s k"],
    ) -> None:
        super().__init__(encoder, memory, inputs=inputs, outputs=outputs, labels=labels)


@part("predictor", "fast-recall")
class FastRecall(Recall):
    """Reads fast weights out of a `FastMemory`, for each image its own."""

    def __init__(
        self,
        encoder: nn.Module,
        memory: nn.Module,
        looking: Float[Tensor, "w w"],
        keys: Float[Tensor, "s w"],
        strength: Float[Tensor, "s"],
        hidden: Float[Tensor, "s w w"],
        output: Float[Tensor, "s k w"],
    ) -> None:
        super().__init__(
            encoder,
            memory,
            looking=looking,
            keys=keys,
            strength=strength,
            hidden=hidden,
            output=output,
        )
