"""Self-distillation: a learner that was meta-trained before teaches the next of its kind."""

import copy
import hashlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.episode import Episode
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.core.registry import recipe
from medshot.training.terms.term import Term


class SelfDistillation(Term):
    """`weight` times the divergence of the learner's answers from its `teacher`'s.

    Source: Furlanello et al. 2018, arXiv:1805.04770 (born-again networks: the student is of the
    teacher's own form); Tian et al. 2020, arXiv:2003.11539 (in few-shot learning). The divergence
    of softened answers, times the square of the temperature, is that of Hinton et al. 2015,
    arXiv:1503.02531.

    Where we differ: Tian et al. distil an encoder over all classes of the training set at once;
    here teacher and student adapt to the same support, and their answers to the queries are
    compared, so that it goes for every learner that answers with a probability a class. Teacher
    and student need not be of one kind.

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
        """Refuse a teacher that takes images of another form."""
        ours, theirs = _form(learner), _form(self.teacher)
        if ours != theirs:
            raise ConfigError(
                f"The teacher takes images of {theirs} (channels, size), the learner of {ours}. "
                "Both see the same images: give the learner's encoder the teacher's form."
            )

    def value(self, learner: Learner, episodes: Sequence[Episode]) -> Float[Tensor, ""]:
        """`weight` T^2 KL(teacher || learner), the mean over the queries of these episodes."""
        return torch.stack([self._divergence(learner, e) for e in episodes]).mean()

    def describe(self) -> dict[str, Any]:
        """Its numbers, and where the teacher is from."""
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
        apart = (theirs.exp() * (theirs - ours)).sum(1).mean()
        return self.weight * self.temperature**2 * apart

    def _soft(self, learner: Learner, episode: Episode) -> Float[Tensor, "n k"]:
        output = learner.learn(episode.support, episode.task)(episode.query.x)
        return (output / self.temperature).log_softmax(1)


def _form(learner: Learner) -> tuple[int | None, int | None]:
    return getattr(learner.encoder, "channels", None), getattr(learner.encoder, "size", None)


def _hash(module: nn.Module) -> str:
    """Of all its tensors: two teachers of one kind are not the same."""
    found = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        found.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]
