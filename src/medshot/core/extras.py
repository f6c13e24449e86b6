"""Libraries that only some users need, imported when first asked for."""

import importlib
from types import ModuleType

from medshot.core.errors import ConfigError


def needed(name: str, *, extra: str) -> ModuleType:
    """The module `name`, which `pip install "medshot[extra]"` brings.

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
