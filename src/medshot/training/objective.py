"""What meta-training descends on, for a few episodes at a time or for all in one pass."""

import contextlib
from collections.abc import Sequence
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.core.vectorise import vectorising
from medshot.training.terms.term import Term

Chunk = Sequence[Episode]


class Objective(nn.Module):
    """A learner's meta-loss, and `terms` beside it."""

    def __init__(self, learner: Learner, terms: Sequence[Term] = ()) -> None:
        super().__init__()
        self.learner, self.terms = learner, nn.ModuleList(terms)
        for term in terms:
            term.check(learner)
        self.tasks = max([1, *(term.tasks for term in terms)])

    def chunks(self, episodes: Sequence[Episode]) -> list[Chunk]:
        """The episodes in groups of as many as the terms look at together.

        Raises:
            ConfigError: they cannot be divided so.
        """
        if len(episodes) % self.tasks:
            raise ConfigError(
                f"A term of the objective looks at {self.tasks} tasks together, and a step has "
                f"{len(episodes)} (of each process). Make meta_batch a multiple of {self.tasks}."
            )
        return [episodes[i : i + self.tasks] for i in range(0, len(episodes), self.tasks)]

    def forward(self, chunk: Chunk) -> Float[Tensor, ""]:
        """The mean over the episodes of one chunk."""
        own = torch.stack([self.learner.meta_loss(episode) for episode in chunk]).mean()
        return own + sum(self._term(term, chunk) for term in self.terms)

    def mapped(self, chunks: Sequence[Chunk]) -> Float[Tensor, ""]:
        """The mean over all chunks in one pass (`torch.func.vmap`), each shape by itself."""
        total = sum(
            self._pass(list(alike)) for _, alike in groupby(sorted(chunks, key=_shape), _shape)
        )
        return torch.as_tensor(total) / len(chunks)

    def _term(self, term: nn.Module, chunk: Chunk) -> Tensor:
        assert isinstance(term, Term)
        parts = [chunk[i : i + term.tasks] for i in range(0, len(chunk), term.tasks)]
        return torch.stack([term.value(self.learner, part) for part in parts]).mean()

    def _pass(self, chunks: Sequence[Chunk]) -> Float[Tensor, ""]:
        tasks = [episode.task for episode in chunks[0]]
        stacked = [torch.stack(alike) for alike in zip(*map(_tensors, chunks), strict=True)]

        def one(*tensors: Tensor) -> Tensor:
            parts = zip(tasks, *(tensors[i::4] for i in range(4)), strict=True)
            return self([Episode(t, Examples(a, b), Examples(c, d)) for t, a, b, c, d in parts])

        with vectorising():
            return torch.func.vmap(one, randomness="different")(*stacked).sum()


def autocast(chunk: Chunk, bf16: bool) -> contextlib.AbstractContextManager[object]:
    """Encode in bfloat16 within the block, if `bf16`."""
    kind = chunk[0].support.x.device.type
    return torch.autocast(kind, torch.bfloat16) if bf16 else contextlib.nullcontext()


def _tensors(chunk: Chunk) -> list[Tensor]:
    return [t for e in chunk for t in (e.support.x, e.support.y, e.query.x, e.query.y)]


def _shape(chunk: Chunk) -> str:
    """The same for chunks whose tensors can be stacked."""
    return str([(e.task, e.support.x.shape, e.query.x.shape) for e in chunk])
