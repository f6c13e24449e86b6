"""From a configuration (words for a learner, its encoder and its settings) to the learner.

What `adapt --finetune`, and a setting of `select`, make of a learner.
"""

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
from medshot.select import Auto, Categorical, Configuration
from medshot.select.space import FINETUNE
from medshot.stages.finetune import AutoTuned, FineTuned, get_method
from medshot.stages.finetune.methods import methods
from medshot.stages.finetune.trainable import moves_below

NONE, AUTO = "none", "auto"
MINUTE, LONG = 60, 120  # seconds; from LONG on, minutes are said
# The first is tried first: those that gained most with few images (docs/stages/finetune.md).
WAYS = {FINETUNE: Categorical(("adapter", "lora", "all", "film", "bias", "head"))}


def finetuned(learner: Learner, what: str) -> Learner:
    """`learner`, and then the way `what`; as it is for "none", and for "auto" what helps.

    Raises:
        ConfigError: there is no such way, or an encoder has nothing that it could move: said before
            the work, not after.
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
                f"{error} `auto` may choose an encoder without weights: name a learner, as "
                "--learner prototypical, or a run."
            ) from error
    return FineTuned(learner, what).eval()


def cost(learner: Learner, dataset: Dataset) -> str:
    """What is said of the time that fine-tuning takes, before it begins; nothing if it is none."""
    if not isinstance(learner, AutoTuned):
        return ""
    inner = learner.learner
    if isinstance(inner, Auto):  # what it will choose is not known yet: most often the first
        first = next(iter(inner.candidates))
        if not isinstance(first, Learner):
            return ""
        learner = AutoTuned(first)
    support, card = dataset.support(learner.encoder)
    seconds = learner.seconds(support, card.task)
    if not seconds:
        return ""
    whole = f"; with the judging on patients left out about {_rounded(seconds * (1 + FOLDS))}"
    return f"fine-tuning takes about {_rounded(seconds)} on {len(support)} images{whole}"


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < LONG else f"{seconds / MINUTE:.0f} min"


def _automatic(learner: Learner) -> Learner:
    """`learner` fine-tuned where that helps, if its encoder, or a candidate's, can be."""
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


OF = "encoder."  # what an option of the encoder begins with


class Builder:
    """Makes the learner of a configuration; those of the same encoder share it.

    An untrained encoder is drawn from a seed of its own, so that it is the same in whatever order
    things are tried, and in every worker. `given` are learners that are there already, by name.
    """

    def __init__(self, given: Mapping[str, Learner] | None = None) -> None:
        self.given = dict(given or {})
        self._encoders: dict[str, Encoder] = {}

    def __call__(self, wanted: Configuration) -> Learner:
        """The learner, fine-tuned where a setting says so.

        Raises:
            ConfigError: there is no such learner, encoder or option, or way to fine-tune.
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
