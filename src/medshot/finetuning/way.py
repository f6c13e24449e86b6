"""A way to fine-tune: which weights move, and in what form."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from torch import nn

from medshot.core.errors import unknown
from medshot.core.registry import import_files, options_of

_WAYS: dict[str, type["Way"]] = {}


@dataclass(frozen=True)
class Move:
    """A weight of `layer` that moves: freely, or as the parameters of `change` say.

    `change` maps the weight as it was to the weight as it is. At first it changes nothing.
    """

    layer: nn.Module
    weight: str
    change: nn.Module | None = None


class Way(ABC):
    """Which weights move below the head; the head moves in every way.

    A new way is one file in `medshot/finetuning/ways` with a subclass that has a `name`. Whatever
    it adds is folded into the weights in the end, so that what is saved has its usual parts.
    """

    name: ClassVar[str]
    source: ClassVar[str]  # author, year, identifier
    asks: ClassVar[str] = ""  # what layers it needs, for the message where there are none

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in cls.__dict__:
            _WAYS[cls.name] = cls

    @abstractmethod
    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """What moves in `layers`, those below the head that have weights."""


def ways() -> MappingProxyType[str, type[Way]]:
    """Every way by name."""
    import_files("medshot.finetuning.ways")
    return MappingProxyType(dict(sorted(_WAYS.items())))


def way_called(name: str, **options: Any) -> Way:
    """The way called `name`; its options are its class's keyword arguments.

    Raises:
        ConfigError: an unknown way or option, or a value that cannot be.
    """
    known = ways()
    if name not in known:
        raise unknown(name, known, kind="way to fine-tune")
    for option in options:
        if option not in options_of(known[name]):
            raise unknown(option, options_of(known[name]), kind=f"option of {name!r}")
    return known[name](**options)
