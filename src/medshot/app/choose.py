"""From what was typed (a name, a run's folder, `--set` options) to a learner."""

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medshot.core.errors import ConfigError, unknown
from medshot.core.learner import Learner
from medshot.core.parts import PARTS, options_of
from medshot.learners.registry import build, learners, lookup
from medshot.nn.encoder import encoder as build_encoder
from medshot.select import Auto
from medshot.training.run import is_run, load_run

HEADS = ("linear-probe", "lda", "nearest-centroid")


def named_learner(name: str, encoder: str, given: Sequence[str], **form: Any) -> Learner:
    """The learner called `name` on the encoder called `encoder`, with `--set` options.

    `form` (channels, size, scaling) is what a protocol asks of the encoder; `--set encoder.x=y`
    goes to the encoder, `--set x=y` to the learner.
    """
    lookup(name)
    options = parse_options(given)
    of_encoder = {k.removeprefix("encoder."): v for k, v in options.items() if k.startswith("encoder.")}
    of_learner = {k: v for k, v in options.items() if not k.startswith("encoder.")}
    if f"encoder/{encoder}" in PARTS:
        known = options_of(PARTS[f"encoder/{encoder}"])
        for option in of_encoder:
            if option not in known:
                raise unknown(option, known, kind=f"option of the encoder {encoder!r}")
    return build(name, encoder=build_encoder(encoder, **{**form, **of_encoder}), **of_learner)


def run_or_learner(given: str, encoder: str, options: Sequence[str], **form: Any) -> Learner:
    """The meta-trained learner of a run's folder, or a named one, untrained."""
    if is_run(given):
        if options:
            raise ConfigError("A run has its options already: leave --set out.")
        return load_run(given).learner
    if given in learners() or not Path(given).exists():
        return named_learner(given, encoder, options, **form)
    raise ConfigError(
        f"{given} is neither a learner (`medshot learners` lists them) nor a run's folder, as "
        "`medshot train` makes it."
    )


def automatic() -> Auto:
    """What `--learner auto` chooses from: three heads on an untrained encoder and on pixels."""
    encoders = (build_encoder("conv4", width=32, halve="stride"), build_encoder("pixels", reduce=2))
    return Auto([build(head, encoder=e) for e in encoders for head in HEADS]).eval()


def describe(learner: Learner) -> str:
    """A learner in a few words, for tables."""
    encoder = type(learner.encoder).__name__.lower()
    trained = "" if learner.origin == "untrained" else " (meta-trained)"
    return f"{type(learner).__name__} on {encoder}{trained}"


def parse_options(given: Sequence[str]) -> dict[str, Any]:
    """`name=value` pairs; a value is read as JSON if it is, else as text."""
    options: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f"--set takes name=value, not {pair!r}.")
        try:
            options[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            options[name.replace("-", "_")] = value
    return options


def options_text(cls: type[Learner]) -> str:
    """The options of a learner with their defaults, as one would type them."""
    shown = [p for name, p in options_of(cls).items() if name != "encoder"]
    return " ".join(f"{p.name}={p.default}" for p in shown if p.default is not inspect.Parameter.empty)
