"""Registry of learners. A module of its own, so that the learners' files can import it."""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from torch import nn

from medshot.core import ConfigError, Learner, Registry, import_files, options_of, part, unknown
from medshot.nn import encoder as build_encoder
from medshot.nn.encoders.module import as_encoder

Class = TypeVar("Class", bound=type[Learner])

_LEARNERS: Registry[type[Learner]] = Registry("learner", "medshot.learners")
PACKAGE = Path(__file__).parents[1]


def register(name: str) -> Callable[[Class], Class]:
    """Register a learner class under `name`: `@register("prototypical")` above the class."""

    def add(cls: Class) -> Class:
        _LEARNERS[name] = part("learner", name)(cls)
        return cls

    return add


def learners() -> MappingProxyType[str, type[Learner]]:
    """All registered learners by name, without those whose optional dependency is missing."""
    return _LEARNERS.all()


def missing() -> MappingProxyType[str, ModuleNotFoundError]:
    """Files of learners that could not be imported, with the import error."""
    return MappingProxyType(import_files("medshot.learners"))


def build(name: str, *, encoder: str | nn.Module = "mobilenet", **options: Any) -> Learner:
    """Build the learner registered as `name`, in eval mode.

    `encoder` is any module from images `n c h w` in [0, 1] to features, or the name of a built-in
    one: `mobilenet` has ImageNet weights, `conv4` is the untrained network of the few-shot
    papers. `options` are the keyword arguments of the learner's class.

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
    """Return the learner class registered as `name`.

    Raises:
        ConfigError: an unknown name, or a missing optional package.
    """
    error = missing().get(name.replace("-", "_"))
    if error is not None and name not in _LEARNERS:
        raise ConfigError(
            f"The learner {name!r} needs a package that is not installed: {error}. Install it "
            f"(`pip install {error.name}`) and try again."
        )
    return _LEARNERS.find(name)


def file_of(cls: type[Learner]) -> str:
    """Path of a learner's source file, relative to the package for built-in learners."""
    file = Path(inspect.getfile(cls))
    return file.relative_to(PACKAGE).as_posix() if file.is_relative_to(PACKAGE) else str(file)
