"""From a configuration (words for a learner, its encoder and its settings) to the learner."""

import json
from collections.abc import Mapping
from typing import Any

import torch

from medshot.app.finetuned import NONE, finetuned
from medshot.core.learner import Learner
from medshot.learners.registry import build
from medshot.nn.encoder import Encoder, encoder
from medshot.select import Configuration
from medshot.select.space import FINETUNE

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
