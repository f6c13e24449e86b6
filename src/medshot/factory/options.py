"""Options as somebody typed them, against what a class takes."""

import types
from collections.abc import Mapping
from typing import Any

from medshot.core.errors import ConfigError, MedshotError, unknown
from medshot.core.registry import options_of


def checked(options: Mapping[str, Any], cls: type, kind: str) -> dict[str, Any]:
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


def impossible(error: Exception, name: str) -> MedshotError:
    """What a class said of options that it cannot take, as a person reads it."""
    if isinstance(error, MedshotError):
        return error
    said = " ".join(str(error).split())
    return ConfigError(f"{name!r} cannot have these options ({said}). Change what --set says.")
