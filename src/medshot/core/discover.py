"""Import of every module of a package, so that each can register what it defines."""

import importlib
import pkgutil


def import_files(package: str) -> dict[str, ModuleNotFoundError]:
    """Import every module of `package`, in its sub-packages too.

    Returns:
        modules whose optional dependency is missing, by name, and the error of each.
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
    return missing
