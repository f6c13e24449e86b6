"""Validation of user-given options against the arguments of a class."""

import types
from collections.abc import Mapping
from typing import Any

from medshot.core.errors import ConfigError, MedshotError, unknown
from medshot.core.registry import options_of


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
