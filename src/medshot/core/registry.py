"""Registry of parts: objects that can be rebuilt from a JSON description of their arguments.

A saved predictor is tensors (safetensors) and a recipe (JSON), never a pickle:

    @part("encoder", "conv4")
    class Conv4(nn.Module):
        def __init__(self, *, width: int = 64) -> None: ...

    recipe(Conv4(width=32))    {"part": "encoder/conv4", "options": {"width": 32}}
    make(that)                 a new Conv4, weights to be loaded

Nested parts become nested recipes, tensors their shape and dtype (a state dict fills them).
Loading needs no import before it: for an unknown name, the modules of its package are imported.

A `Registry` is the table of names behind learners, tasks, readers, methods, objectives and stages:
it imports every module of a package, and plug-ins, so that each can register its parts. Nothing
here imports PyTorch: the command line reads such a table for its help. Optional dependencies are
imported on first use.
"""

import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from types import MappingProxyType, ModuleType
from typing import Any, Generic, TypeVar

from medshot.core.errors import ConfigError, SaveError, unknown
from medshot.core.plugins import GROUPS, load_entry_points

T = TypeVar("T")


@functools.cache
def import_files(package: str) -> dict[str, ModuleNotFoundError]:
    """Import every module of `package` and its subpackages, and plug-ins for it.

    Returns:
        Modules whose optional dependency is missing, by name, with the import errors.
    """
    missing = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        try:
            importlib.import_module(f"{package}.{module.name}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("medshot"):
                raise
            missing[module.name] = error
        if module.ispkg:
            missing |= import_files(f"{package}.{module.name}")
    load_entry_points(package)
    return missing


class Registry(dict[str, T], Generic[T]):
    """Table of registered names, filled by modules as they are imported.

        TASKS: Registry[type[Task]] = Registry("task", "medshot.tasks")
        TASKS["classification"] = Classification
        TASKS.find("clasification")    There is no task called 'clasification'. Did you mean ...

    `find` and `all` first import the modules of its packages, and plug-ins for these. As a dict it
    holds what has been imported so far.
    """

    def __init__(self, kind: str, *packages: str) -> None:
        super().__init__()
        self.kind, self.packages = kind, packages
        self._modules: dict[str, str] = {}

    def __setitem__(self, name: str, thing: T) -> None:
        self.add(name, thing, module=thing.__module__)

    def add(self, name: str, thing: T, *, module: str) -> None:
        """Register `thing`, defined in `module`, under `name`.

        The same module may register it again, for example in a notebook.

        Raises:
            ConfigError: another module has registered this name.
        """
        before = self._modules.get(name, module)
        if name in self and before != module:
            raise ConfigError(
                f"Two {self.kind}s are called {name!r}, in {before} and {module}: rename one."
            )
        self._modules[name] = module
        super().__setitem__(name, thing)

    def all(self) -> MappingProxyType[str, T]:
        """All registered objects by name, in alphabetical order."""
        for package in self.packages:
            import_files(package)
        return MappingProxyType(dict(sorted(self.items())))

    def find(self, name: str) -> T:
        """Return the object registered as `name`.

        Raises:
            ConfigError: an unknown name; the message has the closest known one.
        """
        known = self.all()
        if name not in known:
            raise unknown(name, known, kind=self.kind)
        return known[name]


Class = TypeVar("Class", bound=type)


PARTS: Registry[type] = Registry("part")

# packages to import, in turn, until a part is found
_WRITTEN_IN = {
    "encoder": ("medshot.nn",),
    "learner": ("medshot.learners",),
    "module": ("medshot.nn", "medshot.learners"),
    "predictor": ("medshot.nn", "medshot.learners"),
    "preprocessing": ("medshot.data",),
    "reader": ("medshot.nn", "medshot.learners"),
}


def part(kind: str, name: str) -> Callable[[Class], Class]:
    """Class decorator: register as `kind/name`, and record constructor arguments."""

    def add(cls: Class) -> Class:
        key = f"{kind}/{name}"
        PARTS[key] = cls
        _remember(cls, key)
        return cls

    return add


def recipe(made: object) -> dict[str, Any]:
    """JSON description from which `make` rebuilds `made`.

    Raises:
        SaveError: it, or something inside it, is not a registered part.
    """
    found = getattr(made, "_recipe", None)
    if found is None or found["class"] != type(made).__qualname__:
        raise SaveError(
            f"{type(made).__name__} cannot be saved, because it is not a registered part and "
            "cannot be rebuilt. Write a class of your own around it, with "
            '`@medshot.part("encoder", "my-name")` above it, whose arguments are plain values '
            "(and import that file before loading)."
        )
    return {"part": found["part"], "options": {k: _to_json(v) for k, v in found["options"].items()}}


def described(made: object) -> dict[str, Any]:
    """As `recipe`, with class names for unregistered parts."""
    if found := getattr(made, "_recipe", None):
        options = {k: _described(v) for k, v in found["options"].items()}
        return {"part": found["part"], "options": options}
    return {"part": f"(not registered) {type(made).__name__}", "options": {}}


def _described(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_described(v) for v in value]
    plain = value is None or isinstance(value, str | int | float | bool) or _is_tensor(value)
    return _to_json(value) if plain else described(value)


def make(wanted: dict[str, Any]) -> Any:
    """Build the object described by the recipe `wanted`. Tensors are zeros, to be loaded."""
    key = wanted["part"]
    for package in _WRITTEN_IN.get(key.partition("/")[0], ()):
        if key not in PARTS:
            import_files(package)
    for package in GROUPS if key not in PARTS else ():
        load_entry_points(package)
    if key not in PARTS:
        raise unknown(key, PARTS, kind="part")
    options = {name: _from_json(value) for name, value in wanted["options"].items()}
    return PARTS[key](**options)


def names(kind: str) -> list[str]:
    """Names of all parts of one kind."""
    return sorted(key.partition("/")[2] for key in PARTS if key.startswith(kind + "/"))


def called(made: object) -> str:
    """Registered name of an object's class, or its class name."""
    known = (key.partition("/")[2] for key, cls in PARTS.items() if cls is type(made))
    return next(known, type(made).__name__)


def options_of(cls: type) -> dict[str, inspect.Parameter]:
    """Keyword arguments of a part: its configuration."""
    return dict(inspect.signature(cls).parameters)


def _remember(cls: type, key: str) -> None:
    original = cls.__init__
    signature = inspect.signature(cls)

    @functools.wraps(original)
    def init(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        if type(self) is cls:
            given = signature.bind(*args, **options)
            given.apply_defaults()
            options = {name: _without_values(v) for name, v in given.arguments.items()}
            made = {"part": key, "options": options, "class": cls.__qualname__}
            object.__setattr__(self, "_recipe", made)

    cls.__init__ = init


def _without_values(option: Any) -> Any:
    # a stored tensor would ignore `.to(device)` and keep its autograd graph alive
    return option.detach().to("meta") if _is_tensor(option) else option


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")  # without it there is no tensor
    return torch is not None and isinstance(value, torch.Tensor)


def _to_json(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if _is_tensor(value):
        return {"tensor": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, list | tuple):
        return [_to_json(v) for v in value]
    return recipe(value)


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(v) for v in value]
    if isinstance(value, dict) and "tensor" in value:
        import torch  # noqa: PLC0415  (the command line reads registries without it)

        return torch.zeros(value["tensor"], dtype=getattr(torch, value["dtype"]))
    return make(value) if isinstance(value, dict) else value


def needed(name: str, *, extra: str) -> ModuleType:
    """Import `name`, which `pip install "medshot[extra]"` installs.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"This needs the package {error.name}, which is not installed. Type: "
            f'pip install "medshot[{extra}]"'
        ) from error
