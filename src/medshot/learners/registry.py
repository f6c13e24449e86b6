"""The table of learners, filled by the files beside this one. Apart, so that they can import it."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from torch import nn

from medshot.core.errors import ConfigError, unknown
from medshot.core.learner import Learner
from medshot.core.registry import import_files, options_of, part
from medshot.nn import encoder as build_encoder
from medshot.nn.encoders.module import as_encoder

Class = TypeVar("Class", bound=type[Learner])

_LEARNERS: dict[str, type[Learner]] = {}
_MISSING: dict[str, ImportError] = {}
PACKAGE = Path(__file__).parents[1]


def register(name: str) -> Callable[[Class], Class]:
    """Make a learner known by name: `@register("prototypical")` above its class."""

    def add(cls: Class) -> Class:
        _LEARNERS[name] = part("learner", name)(cls)
        return cls

    return add


def learners() -> MappingProxyType[str, type[Learner]]:
    """Every learner by name. A file whose optional dependency is missing is left out."""
    _import_all()
    return MappingProxyType(dict(sorted(_LEARNERS.items())))


def missing() -> MappingProxyType[str, ImportError]:
    """The files that could not be imported, and why."""
    _import_all()
    return MappingProxyType(_MISSING)


def build(name: str, *, encoder: str | nn.Module = "mobilenet", **options: Any) -> Learner:
    """The learner called `name`, in eval mode; its options are its class's keyword arguments.

    `encoder` is any module from images `n c h w` in [0, 1] to features, or the name of one of ours:
    `mobilenet` has ImageNet weights, `conv4` is the untrained network of few-shot papers.

    Raises:
        ConfigError: an unknown learner, encoder or option.
    """
    cls = lookup(name)
    known = options_of(cls)
    for option in options:
        if option not in known:
            raise unknown(option, known, kind=f"option of {name!r}")
    module = build_encoder(encoder) if isinstance(encoder, str) else as_encoder(encoder)
    learner = cls(module, **options).eval()
    learner.origin = getattr(module, "origin", learner.origin)
    return learner


def lookup(name: str) -> type[Learner]:
    """The class of the learner called `name`."""
    table = learners()
    if name in table:
        return table[name]
    if name.replace("-", "_") in _MISSING:
        error = _MISSING[name.replace("-", "_")]
        raise ConfigError(
            f"The learner {name!r} needs a package that is not installed: {error}. Install it "
            f"(`pip install {error.name}`) and try again."
        )
    raise unknown(name, table, kind="learner")


def file_of(cls: type[Learner]) -> str:
    """The file of a learner: relative to the package, or where somebody else's is."""
    file = Path(inspect.getfile(cls))
    return file.relative_to(PACKAGE).as_posix() if file.is_relative_to(PACKAGE) else str(file)


@functools.cache
def _import_all() -> None:
    _MISSING.update(import_files("medshot.learners"))
