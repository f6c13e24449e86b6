"""The table of learners, filled by the files beside this one. Apart, so that they can import it."""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from torch import nn

from medshot.core.errors import ConfigError, unknown
from medshot.core.learner import Learner
from medshot.core.registry import Registry, import_files, options_of, part
from medshot.nn import encoder as build_encoder
from medshot.nn.encoders.module import as_encoder

Class = TypeVar("Class", bound=type[Learner])

_LEARNERS: Registry[type[Learner]] = Registry("learner", "medshot.learners")
PACKAGE = Path(__file__).parents[1]


def register(name: str) -> Callable[[Class], Class]:
    """Make a learner known by name: `@register("prototypical")` above its class."""

    def add(cls: Class) -> Class:
        _LEARNERS[name] = part("learner", name)(cls)
        return cls

    return add


def learners() -> MappingProxyType[str, type[Learner]]:
    """Every learner by name. A file whose optional dependency is missing is left out."""
    return _LEARNERS.all()


def missing() -> MappingProxyType[str, ModuleNotFoundError]:
    """The files that could not be imported, and why."""
    return MappingProxyType(import_files("medshot.learners"))


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
    error = missing().get(name.replace("-", "_"))
    if error is not None and name not in _LEARNERS:
        raise ConfigError(
            f"The learner {name!r} needs a package that is not installed: {error}. Install it "
            f"(`pip install {error.name}`) and try again."
        )
    return _LEARNERS.find(name)


def file_of(cls: type[Learner]) -> str:
    """The file of a learner: relative to the package, or where somebody else's is."""
    file = Path(inspect.getfile(cls))
    return file.relative_to(PACKAGE).as_posix() if file.is_relative_to(PACKAGE) else str(file)
