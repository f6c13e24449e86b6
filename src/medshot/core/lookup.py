"""Tables of names behind learners, tasks, readers, methods, objectives and stages.

A `Registry` imports every module of a package, and plug-ins, so that each can register its
parts. Nothing here imports PyTorch: the command line reads such a table for its help.
"""

import functools
import importlib
import pkgutil
from types import MappingProxyType
from typing import Generic, TypeVar

from medshot.core.errors import ConfigError, unknown
from medshot.core.plugins import load_entry_points

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
