"""Encoders and learners from names, files, options and configurations."""

import json
import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from medshot.core import (
    PARTS,
    ConfigError,
    DataError,
    Learner,
    MedshotError,
    import_files,
    names,
    options_of,
    unknown,
)
from medshot.learners.registry import build
from medshot.nn.encoder import Encoder, encoder
from medshot.nn.encoder import encoder as build_encoder
from medshot.nn.encoders.efficientnet import EfficientNetLite0
from medshot.nn.encoders.external import Timm
from medshot.nn.encoders.mobilenet import MobileNet
from medshot.pretraining import load_encoder
from medshot.pretraining.weights import PACKAGES, READERS, from_hub, from_package, load_weights
from medshot.selection import Auto, Categorical, Configuration
from medshot.selection.space import FINETUNE
from medshot.stages.finetune import AutoTuned, FineTuned, get_method
from medshot.stages.finetune.methods import methods, moves_below
from medshot.stages.fuse.learner import NAME as AVERAGE  # noqa: F401  (for candidates of auto)


def checked(options: Mapping[str, Any], cls: type, kind: str) -> dict[str, Any]:
    """Validate names and types of `options` for `cls`; an int is accepted for a float.

    Raises:
        ConfigError: an unknown option, or a value of another type.
    """
    known = {name: p for name, p in options_of(cls).items() if name != "encoder"}
    found = {}
    for option, value in options.items():
        if option not in known:
            raise unknown(option, known, kind=kind)
        wanted = known[option].annotation
        allowed = wanted.__args__ if isinstance(wanted, types.UnionType) else (wanted,)
        fitted = float(value) if type(value) is int and float in allowed else value
        plain = all(isinstance(each, type) for each in allowed)  # else the class checks it
        if plain and type(fitted) not in allowed:
            name = getattr(wanted, "__name__", wanted)
            raise ConfigError(f"{kind[0].upper()}{kind[1:]}, {option}, is {name}, not {value!r}.")
        found[option] = fitted
    return found


def impossible(error: Exception, name: str) -> MedshotError:
    """`ConfigError` for options that a class rejected, with its message."""
    if isinstance(error, MedshotError):
        return error
    cause = " ".join(str(error).split())
    return ConfigError(f"{name!r} cannot have these options ({cause}). Change the --set options.")


VARIABLE = "MEDSHOT_WEIGHTS"
ALIASES = {"resnet50": "timm/resnet50"}
LIBRARIES = ("monai", "timm")
Options = Mapping[str, Any]


def chosen_encoder(given: str, options: Options, form: Options) -> Encoder:
    """Build the encoder that `given` names.

    `options` come from the user, `form` (channels, size, scaling) from a protocol.

    Raises:
        ConfigError: an unknown name or option.
        DataError: a file of weights that cannot be used.
        SaveError: a folder that holds no encoder, or a damaged one.
    """
    import_files("medshot.nn")
    place = _place(given)
    if place is not None:
        return _of_folder(place, options) if place.is_dir() else _of_file(place, options, form)
    if given in PACKAGES:
        found = _options(options, EfficientNetLite0, given)
        return from_package(given, **{**_images(form), **found})
    library, _, network = ALIASES.get(given, given).partition("/")
    if library != "timm" or not network:
        return untrained(given, options, form)
    return from_hub(network, **{**_images(form), **_options(options, Timm, given)})


def untrained(given: str, options: Options, form: Options) -> Encoder:
    """Build the encoder called `given`, possibly a library's network, without weights."""
    library, _, network = ALIASES.get(given, given).partition("/")
    if library in LIBRARIES and network:
        options = {**options, "network": network}
    elif f"encoder/{given}" in PARTS:
        library = given
    else:
        raise unknown(given, [*names("encoder"), *ALIASES], kind="encoder")
    found = _options(options, PARTS[f"encoder/{library}"], given)
    try:
        return build_encoder(library, **{**form, **found})
    except (TypeError, ValueError, RuntimeError) as error:
        raise impossible(error, given) from error


def _place(given: str) -> Path | None:
    """Folder or file that `given` refers to; None if it is the name of a network."""
    if f"encoder/{given}" in PARTS or given in ALIASES:
        return None
    shelf = os.environ.get(VARIABLE)
    shelved = [Path(shelf) / f"{given}{suffix}" for suffix in ("", *READERS)] if shelf else []
    for path in (Path(given), *(path for path in shelved if path.is_file())):
        if path.exists():
            return path
    if Path(given).suffix in READERS:
        where = f"nor in {shelf}" if shelf else f"and {VARIABLE} names no folder to search"
        raise DataError(f"There is no file {given}, {where}. Correct the path.")
    return None


def _of_folder(folder: Path, options: Options) -> Encoder:
    if options:
        raise ConfigError(
            f"The options of the encoder in {folder} were fixed when it was pretrained: leave out "
            f"--set encoder.{next(iter(options))}, or pretrain another."
        )
    return load_encoder(folder)


def _of_file(path: Path, options: Options, form: Options) -> Encoder:
    network = options.get("network")
    if network is None:
        return load_encoder(path, **{**_images(form), **_options(options, MobileNet, path.name)})
    rest = {name: value for name, value in options.items() if name != "network"}
    return load_weights(untrained(str(network), rest, _images(form)), path)


def _images(form: Options) -> Options:
    """Image form of a protocol, without its scaling: pretrained weights keep their own."""
    return {name: value for name, value in form.items() if name != "scaling"}


def _options(options: Options, cls: type[Encoder], name: str) -> dict[str, Any]:
    return checked(options, cls, f"option of the encoder {name!r}")


NONE, AUTO = "none", "auto"
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
