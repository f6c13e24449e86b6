"""Meta-loss of an episode, and auxiliary losses that are added to it."""

import contextlib
import copy
import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import ConfigError, Episode, Learner, any_tensor, recipe


class AuxiliaryLoss(nn.Module, ABC):
    """Term added to the meta-loss of any learner: `medshot.train(..., terms=[term])`.

    It has no trainable parameters; its tensors stay constant.
    """

    tasks: ClassVar[int] = 1  # number of episodes that one value is computed from
    source: ClassVar[str]  # author, year, identifier
    vectorizes: ClassVar[bool] = True  # `value`, with the learner inside it, works under vmap

    def check(self, learner: Learner) -> None:
        """Raise `ConfigError` if it cannot be combined with this learner."""
        del learner

    @abstractmethod
    def value(self, learner: Learner, episodes: Sequence[Episode]) -> Float[Tensor, ""]:
        """The loss that is added to the mean meta-loss of these `tasks` episodes."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Name and options, for the record of a run."""


class TaskContrast(AuxiliaryLoss):
    """Task-level contrastive loss: `weight` x (distance within tasks - distance between tasks).

    Source: Wu et al. 2024, arXiv:2410.05975 (ConML). The paper's symbols: lambda is `weight`, D_in
    the distance between what is learned from the support and from the whole episode, D_out that
    between what is learned from two whole episodes. One subset a task (K = 1) and the cosine
    distance, as in the paper's experiments.

    Where we differ: the paper represents an adapted model by its weights, its prototypes or its
    outputs on probes, depending on the learner. Here it is always the outputs, which every
    predictor has: the predictions for the queries of both tasks, as the centered Gram matrix of
    the probabilities, because different tasks have different classes, and not always the same
    number of them. Tasks come in pairs, so D_out has one pair a task, where the paper takes all
    pairs of a batch.

    Raises:
        ConfigError: `weight` is not above 0.
    """

    tasks = 2
    source = "Wu et al. 2024, arXiv:2410.05975"

    def __init__(self, weight: float = 0.1) -> None:
        super().__init__()
        if not 0 < weight < math.inf:
            raise ConfigError(f"The weight of the contrast is above 0 and finite, not {weight}.")
        self.weight = weight

    def value(self, learner: Learner, episodes: Sequence[Episode]) -> Float[Tensor, ""]:
        """`weight` (D_in - D_out) for a pair of episodes."""
        probes = torch.cat([episode.query.x for episode in episodes])
        wholes, within = [], []
        for episode in episodes:
            part = _similarity(learner, episode, probes, whole=False)
            wholes.append(_similarity(learner, episode, probes, whole=True))
            within.append(_distance(part, wholes[-1]))
        return self.weight * (torch.stack(within).mean() - _distance(*wholes))

    def describe(self) -> dict[str, Any]:
        """Its name and weight."""
        return {"term": "task contrast", "weight": self.weight}


def _similarity(
    learner: Learner, episode: Episode, probes: Tensor, *, whole: bool
) -> Float[Tensor, "n n"]:
    """Similarity of the predictions for each two probes, adapted to the support or the episode."""
    shown = episode.support + episode.query if whole else episode.support
    output = learner.learn(shown, episode.task)(probes)
    with torch.autocast(output.device.type, enabled=False):  # distances are small
        predicted = episode.task.decode(output.to(any_tensor(learner).dtype))
        predicted = (predicted - predicted.mean(0)).flatten(1)
        return predicted @ predicted.T


def _distance(a: Float[Tensor, "n n"], b: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
    """Cosine distance."""
    return 1 - torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)


class SelfDistillation(AuxiliaryLoss):
    """`weight` times the KL divergence of the learner's predictions from its `teacher`'s.

    Source: Furlanello et al. 2018, arXiv:1805.04770 (born-again networks: the student has the
    teacher's architecture); Tian et al. 2020, arXiv:2003.11539 (in few-shot learning). The KL
    divergence of softened predictions, times the square of the temperature, is that of Hinton
    et al. 2015, arXiv:1503.02531.

    Where we differ: Tian et al. distill an encoder over all classes of the training set at once;
    here teacher and student adapt to the same support, and their predictions for the queries are
    compared. So it works for every learner that predicts a probability a class. Teacher and
    student may be different learners.

    Raises:
        ConfigError: `weight` or `temperature` is not above 0.
    """

    source = "Furlanello et al. 2018, arXiv:1805.04770"

    def __init__(self, teacher: Learner, *, weight: float = 1.0, temperature: float = 1.0) -> None:
        super().__init__()
        for name, value in (("weight", weight), ("temperature", temperature)):
            if not 0 < value < math.inf:
                raise ConfigError(
                    f"The {name} of self-distillation is above 0 and finite, not {value}."
                )
        self.teacher = copy.deepcopy(teacher).eval().requires_grad_(False)
        self.weight, self.temperature = weight, temperature

    def check(self, learner: Learner) -> None:
        """Raise `ConfigError` for a teacher that takes images of other channels or size."""
        ours, theirs = _form(learner), _form(self.teacher)
        if ours != theirs:
            raise ConfigError(
                f"The teacher takes images of {theirs} (channels, size), the learner of {ours}. "
                "Both get the same images: set the learner's encoder to the teacher's values."
            )

    def value(self, learner: Learner, episodes: Sequence[Episode]) -> Float[Tensor, ""]:
        """`weight` T^2 KL(teacher || learner), the mean over the queries of these episodes."""
        return torch.stack([self._divergence(learner, e) for e in episodes]).mean()

    def describe(self) -> dict[str, Any]:
        """Options, the teacher's recipe and the hash of its weights."""
        numbers = {"weight": self.weight, "temperature": self.temperature}
        return {
            "term": "self-distillation",
            **numbers,
            "teacher": recipe(self.teacher),
            "teacher_weights": _hash(self.teacher),
        }

    def _divergence(self, learner: Learner, episode: Episode) -> Float[Tensor, ""]:
        self.teacher.check(episode.task)
        with torch.no_grad():
            theirs = self._soft(self.teacher, episode)
        ours = self._soft(learner, episode)
        divergence = (theirs.exp() * (theirs - ours)).sum(1).mean()
        return self.weight * self.temperature**2 * divergence

    def _soft(self, learner: Learner, episode: Episode) -> Float[Tensor, "n k"]:
        output = learner.learn(episode.support, episode.task)(episode.query.x)
        return (output / self.temperature).log_softmax(1)


def _form(learner: Learner) -> tuple[int | None, int | None]:
    return getattr(learner.encoder, "channels", None), getattr(learner.encoder, "size", None)


def _hash(module: nn.Module) -> str:
    """Hash of all tensors: teachers with one recipe may have different weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


Chunk = Sequence[Episode]


class MetaObjective(nn.Module):
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
