"""Learners from configurations (learner, encoder, settings), optionally fine-tuned."""

import json
from collections.abc import Mapping
from typing import Any

import torch

from medshot.core.errors import ConfigError, unknown
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import FOLDS
from medshot.learners.registry import build
from medshot.nn.encoder import Encoder, encoder
from medshot.selection import Auto, Categorical, Configuration
from medshot.selection.space import FINETUNE
from medshot.stages.finetune import AutoTuned, FineTuned, get_method
from medshot.stages.finetune.methods import methods
from medshot.stages.finetune.trainable import moves_below

NONE, AUTO = "none", "auto"
MINUTE, LONG = 60, 120  # seconds; from LONG on, times are shown in minutes
# in order of trial: first those that gained most with few images (docs/stages/finetune.md)
WAYS = {FINETUNE: Categorical(("adapter", "lora", "all", "film", "bias", "head"))}


def finetuned(learner: Learner, what: str) -> Learner:
    """`learner` followed by the fine-tuning method `what`; "none" and "auto" are allowed.

    Raises:
        ConfigError: an unknown method, or an encoder without parameters that it could train;
            raised before any work.
    """
    if what == NONE:
        return learner
    if what == AUTO:
        return _automatic(learner)
    if what not in methods():
        raise unknown(what, [*methods(), AUTO, NONE], kind="fine-tuning method")
    for each in learner.candidates if isinstance(learner, Auto) else [learner]:
        try:
            moves_below(each.get_submodule("encoder"), get_method(what))
        except ConfigError as error:
            if not isinstance(learner, Auto):
                raise
            raise ConfigError(
                f"{error} `auto` may choose an encoder without weights: name a learner, for "
                "example --learner prototypical, or a run."
            ) from error
    return FineTuned(learner, what).eval()


def cost(learner: Learner, dataset: Dataset) -> str:
    """Estimated time of fine-tuning, as text; empty if negligible."""
    if not isinstance(learner, AutoTuned):
        return ""
    inner = learner.learner
    if isinstance(inner, Auto):  # its choice is not known yet; assume the first
        first = next(iter(inner.candidates))
        if not isinstance(first, Learner):
            return ""
        learner = AutoTuned(first)
    support, card = dataset.support(learner.encoder)
    seconds = learner.seconds(support, card.task)
    if not seconds:
        return ""
    whole = f"; with cross-validation about {_rounded(seconds * (1 + FOLDS))}"
    return f"fine-tuning takes about {_rounded(seconds)} on {len(support)} images{whole}"


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < LONG else f"{seconds / MINUTE:.0f} min"


def _automatic(learner: Learner) -> Learner:
    """`learner` fine-tuned where that helps.

    Raises:
        ConfigError: neither its encoder nor any candidate's can be fine-tuned.
    """
    tuned = AutoTuned(learner)
    candidates = list(learner.candidates) if isinstance(learner, Auto) else [learner]
    refusals: list[ConfigError] = []
    for each in candidates:
        try:
            tuned.pointwise.check(each.get_submodule("encoder"))
        except ConfigError as error:
            refusals.append(error)
    if len(refusals) == len(candidates):
        raise refusals[0]
    return tuned.eval()


OF = "encoder."  # prefix of encoder options


class Builder:
    """Builds the learner of a configuration; equal encoders are shared.

    An untrained encoder is initialized from a fixed seed, so that it is the same in any order of
    trials and in every worker. `given` are existing learners, by name.
    """

    def __init__(self, given: Mapping[str, Learner] | None = None) -> None:
        self.given = dict(given or {})
        self._encoders: dict[str, Encoder] = {}

    def __call__(self, wanted: Configuration) -> Learner:
        """The learner, fine-tuned if a setting says so.

        Raises:
            ConfigError: an unknown learner, encoder, option or fine-tuning method.
        """
        settings = dict(wanted.settings)
        way = settings.pop(FINETUNE, NONE)
        return finetuned(self._plain(wanted, settings), way)

    def _plain(self, wanted: Configuration, settings: Mapping[str, Any]) -> Learner:
        if wanted.learner in self.given:
            return self.given[wanted.learner]
        of_encoder = {
            name.removeprefix(OF): value for name, value in settings.items() if name.startswith(OF)
        }
        own = {name: value for name, value in settings.items() if not name.startswith(OF)}
        return build(wanted.learner, encoder=self._encoder(wanted.encoder, of_encoder), **own)

    def _encoder(self, name: str, options: dict[str, Any]) -> Encoder:
        key = json.dumps([name, sorted(options.items())])
        if key not in self._encoders:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                self._encoders[key] = encoder(name, **options)
        return self._encoders[key]
