"""Encoders from names, files and options that are checked."""

import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medshot.core.errors import ConfigError, DataError, MedshotError, unknown
from medshot.core.registry import PARTS, import_files, names, options_of
from medshot.nn.encoder import Encoder
from medshot.nn.encoder import encoder as build_encoder
from medshot.nn.encoders.efficientnet import EfficientNetLite0
from medshot.nn.encoders.external import Timm
from medshot.nn.encoders.mobilenet import MobileNet
from medshot.pretraining import load_encoder
from medshot.pretraining.weights import PACKAGES, READERS, from_hub, from_package, load_weights


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
