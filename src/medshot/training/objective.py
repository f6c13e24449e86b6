"""Objective of meta-training: a learner's meta-loss plus auxiliary losses."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.episode import Episode
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.training.auxiliary_losses import AuxiliaryLoss

Chunk = Sequence[Episode]


class Objective(nn.Module):
    """The meta-loss of `learner` plus the auxiliary losses `terms`.

    Raises:
        ConfigError: a term that does not fit this learner, or that has trainable parameters.
    """

    def __init__(self, learner: Learner, terms: Sequence[AuxiliaryLoss] = ()) -> None:
        super().__init__()
        for term in terms:
            term.check(learner)
            if any(p.requires_grad for p in term.parameters()):
                raise ConfigError(
                    f"{type(term).__name__} has trainable parameters: a term must have none."
                )
        self.learner, self.terms = learner, nn.ModuleList(terms)
        self.tasks = math.lcm(1, *(term.tasks for term in terms))

    def check(self, episodes: int) -> None:
        """Raise `ConfigError` if `episodes` a step cannot be divided into chunks."""
        if episodes % self.tasks:
            raise ConfigError(
                f"The terms of the objective take {self.tasks} tasks together, and a step has "
                f"{episodes} (in each process). Make meta_batch a multiple of {self.tasks}."
            )

    def references(self) -> list[str]:
        """References of the terms, and of their teachers."""
        learners = [part for part in self.terms.modules() if isinstance(part, Learner)]
        return [part.source for part in (*self._terms(), *learners)]

    def chunks(self, episodes: Iterable[Episode]) -> Iterator[Chunk]:
        """Group the episodes by the number that the terms take together."""
        left = iter(episodes)
        while chunk := tuple(islice(left, self.tasks)):
            yield chunk

    def forward(self, chunk: Chunk) -> Float[Tensor, ""]:
        """Mean objective over the episodes of one chunk."""
        own = torch.stack([self.learner.meta_loss(episode) for episode in chunk]).mean()
        return own + sum(self._term(term, chunk) for term in self._terms())

    def _terms(self) -> list[AuxiliaryLoss]:
        return [term for term in self.terms if isinstance(term, AuxiliaryLoss)]

    def _term(self, term: AuxiliaryLoss, chunk: Chunk) -> Tensor:
        parts = [chunk[i : i + term.tasks] for i in range(0, len(chunk), term.tasks)]
        return torch.stack([term.value(self.learner, part) for part in parts]).mean()


def autocast(chunk: Chunk, bf16: bool) -> contextlib.AbstractContextManager[object]:
    """Encode in bfloat16 within the block, if `bf16`."""
    kind = chunk[0].support.x.device.type
    return torch.autocast(kind, torch.bfloat16) if bf16 else contextlib.nullcontext()
