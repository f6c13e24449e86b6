"""Files that enter themselves in a table when imported, found without a list of them."""

import importlib
import pkgutil


def import_files(package: str) -> dict[str, ModuleNotFoundError]:
    """Import every file of `package`; gives those whose optional dependency is missing."""
    missing = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        try:
            importlib.import_module(f"{package}.{module.name}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("medshot"):
                raise
            missing[module.name] = error
    return missing
