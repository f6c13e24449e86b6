"""Declared options: one line gives the keyword, the word on the command line, help and bounds.

    @dataclass
    class Config:
        steps: int = option("Steps.", default=1000, min=1)

Nothing here imports PyTorch: the command line reads such declarations for its help.
"""

import math
import types
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, get_args, get_origin, get_type_hints

from medshot.core.errors import ConfigError, unknown

OPTION = "option"  # the key of a field's metadata


@dataclass(frozen=True)
class Option:
    """An option, as a keyword argument and on the command line."""

    name: str  # of the keyword
    type: Any  # of a value on the command line; `dict` for NAME=VALUE, repeated
    default: Any
    help: str
    min: int | float | None = None
    max: int | float | None = None
    above: int | float | None = None
    choices: tuple[str, ...] = ()
    shown: str | None = None  # shown by the help in place of the default
    recorded: bool = True  # False: may change when a run is resumed

    @property
    def word(self) -> str:
        """Name on the command line: `attack_steps` is `--attack-steps`, `set_` is `--set`."""
        return "--" + self.name.strip("_").replace("_", "-")

    def check(self, value: Any) -> None:
        """Raise `ConfigError` for a value out of bounds; None stands for "not given"."""
        if value is None:
            return
        if self.choices and value not in self.choices:
            raise unknown(str(value), self.choices, kind=f"value of {self.word}")
        if self.min is not None and not value >= self.min:
            raise ConfigError(f"{self.name}={value} must be at least {self.min}.")
        if self.max is not None and not value <= self.max:
            raise ConfigError(f"{self.name}={value} must be at most {self.max}.")
        if self.above is not None and not self.above < value < math.inf:
            raise ConfigError(f"{self.name}={value} must be above {self.above} and finite.")


def option(
    help: str,
    *,
    default: Any,
    min: int | float | None = None,
    max: int | float | None = None,
    above: int | float | None = None,
    choices: Sequence[str] = (),
    shown: str | None = None,
    recorded: bool = True,
) -> Any:
    """Dataclass field that is an option: its default, its help, and the values that it takes.

    Args:
        help: a line of the command's help.
        default: the value if none is given; the field's annotation gives the type.
        min: the smallest allowed number.
        max: the largest.
        above: a bound that the number must exceed; it must be finite, too.
        choices: the allowed words, if not all.
        shown: what the help shows in place of the default.
        recorded: whether it must be the same when a run is resumed.
    """
    about: dict[str, Any] = {"help": help, "min": min, "max": max, "above": above}
    about |= {"choices": tuple(choices), "shown": shown, "recorded": recorded}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata={OPTION: about})
    return field(default=default, metadata={OPTION: about})


def declared_options(cls: type) -> list[Option]:
    """The fields of a dataclass that were declared by `option`, in order."""
    hints = get_type_hints(cls)
    return [
        Option(
            each.name,
            _typed(hints[each.name]),
            {} if get_origin(hints[each.name]) is dict else each.default,
            **each.metadata[OPTION],
        )
        for each in fields(cls)
        if OPTION in each.metadata
    ]


def check_options(config: Any) -> None:
    """Raise `ConfigError` if an option of a dataclass instance is out of bounds."""
    for each in declared_options(type(config)):
        each.check(getattr(config, each.name))


def _typed(hint: Any) -> Any:
    """Type of a command-line value: `str` where allowed, `float` for `float | None`."""
    if get_origin(hint) is dict:
        return dict
    kinds = [each for each in get_args(hint) if each is not types.NoneType] or [hint]
    return str if str in kinds else kinds[0]
