"""The readers that need a library of their own, imported when first asked for."""

import importlib
from types import ModuleType

from medshot.core.errors import DataError

EXTRAS = {"dicom": "dicom", "itk": "volumes", "slide": "slides"}


def reader(name: str) -> ModuleType:
    """The file of this package that is called `name`.

    Raises:
        DataError: a library that it needs is not installed.
    """
    try:
        return importlib.import_module(f"medshot.data.formats.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("medshot"):
            raise
        extra = EXTRAS[name.partition("_")[0]]
        what = f"This kind of file needs the package {error.name}, which is not installed."
        raise DataError(f'{what} Type: pip install "medshot[{extra}]"') from error
