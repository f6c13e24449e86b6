"""Learners of which one is clearly better, and supports that show it."""

from collections.abc import Callable

import torch
from torch import Tensor

from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.registry import part
from medshot.core.task import Task
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.nn.heads import Linear
from medshot.selection import Categorical, Configuration, FloatRange, LearnerFamily
from medshot.selection.cross_validator import CrossValidator
from medshot.selection.space import Space
from medshot.tasks import Classification

TASK = Classification(2)
GUESS, PROBE, LDA = "toy-guess", "linear-probe", "lda"
SPACE = Space(
    LearnerFamily(GUESS),
    LearnerFamily(PROBE, "pixels", {"c": FloatRange(0.01, 100.0, starts=(1.0,))}),
    LearnerFamily(LDA, "pixels", {"shrinkage": Categorical((None, 0.5))}),
)
QUEUE = [Configuration(GUESS), Configuration(PROBE, "pixels", {"c": 1.0})]


@part("learner", GUESS)
class Guess(Learner):
    """Always the first class."""

    supports = (Classification,)
    source = "none"
    trainable = False

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def learn(self, support: Examples, task: Task) -> Predictor:
        width = support.x.flatten(1).shape[1]
        if not isinstance(self.encoder, torch.nn.Identity):
            width = self.encoder.n_features
        weight = torch.zeros(width, task.n_outputs)
        bias = torch.tensor([1.0] + [0.0] * (task.n_outputs - 1))
        return Linear(self.encoder, weight, bias)


def pixels() -> torch.nn.Module:
    return encoder("pixels", channels=1, size=16, reduce=2)


def some_images(n: int = 10, groups: Tensor | None = None, seed: int = 0) -> Examples:
    """Class 1 has a bright corner."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.arange(2).repeat(n)
    x = torch.rand(2 * n, 1, 16, 16, generator=rng)
    x[y == 1, :, :6, :6] = 1
    return Examples(x, y, groups)


def bench(n: int = 10, **options: int) -> CrossValidator:
    examples = some_images(n)
    return CrossValidator(lambda encoder: examples.x, examples.y, examples.groups, TASK, **options)


def noise(n: int = 10) -> CrossValidator:
    """Nothing is to be learned here."""
    rng = torch.Generator().manual_seed(1)
    x = torch.rand(2 * n, 1, 16, 16, generator=rng)
    return CrossValidator(lambda encoder: x, torch.arange(2).repeat(n), None, TASK)


def made(encoders: torch.nn.Module | None = None) -> Callable[[Configuration], Learner]:
    """What builds the learners of `SPACE`."""
    on = encoders or pixels()

    def build_one(wanted: Configuration) -> Learner:
        if wanted.name == GUESS:
            return Guess(on)
        return build(wanted.learner, encoder=on, **wanted.settings)

    return build_one
