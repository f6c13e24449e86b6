"""From what was typed (a name, a run's folder, `--set` options) to a learner."""

import inspect
import json
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medshot.app.kinds import kind_called
from medshot.core.discover import import_files
from medshot.core.errors import ConfigError, SaveError, unknown
from medshot.core.learner import Learner
from medshot.core.parts import PARTS, names, options_of
from medshot.data.folders.kinds import USUAL
from medshot.finetuning import FineTuned
from medshot.learners.registry import build, learners, lookup, missing
from medshot.nn.encoder import Encoder
from medshot.nn.encoder import encoder as build_encoder
from medshot.select import Auto
from medshot.training.run import is_run, load_run

OF = "encoder."  # what an option of the encoder begins with
WORDS = {"None": None, "True": True, "False": False}  # as `learners --options` says


def named_learner(name: str, encoder: str, given: Sequence[str], **form: Any) -> Learner:
    """The learner called `name` on the encoder called `encoder`, with `--set` options.

    `form` (channels, size, scaling) is what a protocol asks of the encoder; `--set encoder.x=y`
    goes to the encoder, `--set x=y` to the learner.
    """
    cls, options = lookup(name), parse_options(given)
    of_encoder = {k.removeprefix(OF): v for k, v in options.items() if k.startswith(OF)}
    of_learner = {k: v for k, v in options.items() if not k.startswith(OF)}
    of_learner = _checked(of_learner, cls, f"option of {name!r}")
    module = _encoder(encoder, of_encoder, form)
    try:
        return build(name, encoder=module, **of_learner)
    except (TypeError, ValueError, RuntimeError) as error:
        raise _impossible(error, name) from error


def named_encoder(name: str, given: Sequence[str], **form: Any) -> Encoder:
    """The encoder called `name`, untrained, with `--set encoder.x=y` options."""
    options = parse_options(given)
    if others := [option for option in options if not option.startswith(OF)]:
        raise ConfigError(f"--set {others[0]}: only encoder.NAME=VALUE means anything here.")
    return _encoder(name, {k.removeprefix(OF): v for k, v in options.items()}, form)


def run_or_learner(
    given: str,
    encoder: str | None,
    options: Sequence[str],
    kind: str = USUAL,
    **form: Any,
) -> Learner:
    """The meta-trained learner of a run's folder, or a named one, for tasks of `kind`."""
    if is_run(given):
        if options or encoder:
            raise ConfigError("A run has its encoder and options: leave --encoder and --set out.")
        return kind_called(kind).from_run(load_run(given).learner)
    if given in learners() or given.replace("-", "_") in missing():
        return named_learner(given, encoder or kind_called(kind).encoder, options, **form)
    if Path(given).exists():
        raise ConfigError(
            f"{given} is neither a learner (`medshot learners` lists them) nor a run's folder, as "
            "`medshot train` makes it."
        )
    raise unknown(given, learners(), kind="learner, and no folder of a run,")


def automatic(encoder: str | None = None, options: Sequence[str] = (), kind: str = USUAL) -> Auto:
    """What `--learner auto` chooses from, for tasks of `kind`."""
    if encoder or options:
        raise ConfigError(
            "auto chooses the encoder and the options: leave --encoder and --set out, or name a "
            "learner, --learner linear-probe for one."
        )
    return kind_called(kind).candidates()


def refuse_transductive(learner: Learner) -> None:
    """Raise `SaveError` if what `learner` learns could not be saved: before the work, not after."""
    if learner.transductive:
        raise SaveError(
            f"{_name(learner)} is transductive: it answers all images together, so what it learns "
            "cannot be saved, as one image alone would get another answer. Take another learner "
            "(`medshot learners`); `medshot evaluate` can measure this one."
        )
    if getattr(learner.encoder, "transductive", False):
        raise SaveError(
            "This encoder normalises each image by the others of its batch, so what it learns "
            "cannot be saved: one image alone would get another answer. Train again with --set "
            "encoder.norm=group; `medshot evaluate` can measure it as it is."
        )


def describe(learner: Learner) -> str:
    """A learner in a few words, for tables: its name and its encoder's, as one types them."""
    if isinstance(learner, Auto):
        return _name(learner)
    if isinstance(learner, FineTuned):
        return f"{describe(learner.learner)}, then {learner.what}"
    trained = "" if learner.origin == "untrained" else " (meta-trained)"
    return f"{_name(learner)} on {_name(learner.encoder)}{trained}"


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
            options[name.replace("-", "_")] = WORDS.get(value, value)
    return options


def options_text(cls: type[Learner]) -> str:
    """The options of a learner with their defaults, as one would type them."""
    shown = [p for name, p in options_of(cls).items() if name != "encoder"]
    optional = [p for p in shown if p.default is not inspect.Parameter.empty]
    return " ".join(f"{p.name}={p.default}" for p in optional)


def _encoder(name: str, options: Mapping[str, Any], form: Mapping[str, Any]) -> Encoder:
    import_files("medshot.nn")
    if f"encoder/{name}" not in PARTS:
        raise unknown(name, names("encoder"), kind="encoder")
    cls = PARTS[f"encoder/{name}"]
    given = _checked(options, cls, f"option of the encoder {name!r}")
    try:
        return build_encoder(name, **{**form, **given})
    except (TypeError, ValueError, RuntimeError) as error:
        raise _impossible(error, name) from error


def _checked(options: Mapping[str, Any], cls: type, kind: str) -> dict[str, Any]:
    """`options`, if `cls` takes options of such names and of such types; 1 for 1.0 is no harm."""
    known = {name: p for name, p in options_of(cls).items() if name != "encoder"}
    found = {}
    for option, value in options.items():
        if option not in known:
            raise unknown(option, known, kind=kind)
        wanted = known[option].annotation
        kinds = wanted.__args__ if isinstance(wanted, types.UnionType) else (wanted,)
        fitted = float(value) if type(value) is int and float in kinds else value
        plain = all(isinstance(each, type) for each in kinds)  # else its class knows better
        if plain and type(fitted) not in kinds:
            said = getattr(wanted, "__name__", wanted)
            raise ConfigError(f"{kind[0].upper()}{kind[1:]}, {option}, is {said}, not {value!r}.")
        found[option] = fitted
    return found


def _impossible(error: Exception, name: str) -> ConfigError:
    if isinstance(error, ConfigError):
        return error
    said = " ".join(str(error).split())
    return ConfigError(f"{name!r} cannot have these options ({said}). Change what --set says.")


def _name(made: object) -> str:
    known = (key.partition("/")[2] for key, cls in PARTS.items() if cls is type(made))
    return next(known, type(made).__name__)  # somebody's own class may not be registered
