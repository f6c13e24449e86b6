"""The libraries of networks that are not ours, imported when one of theirs is first asked for."""

import difflib
import importlib
import sys
from collections.abc import Iterable
from types import ModuleType

import torch

from medshot.core.errors import ConfigError, unknown

OPERATORS = ("nms", "qnms")


def library(name: str) -> ModuleType:
    """The package `name`, of timm or monai; the extra that brings it is called like these.

    Raises:
        ConfigError: it is not installed, or cannot be imported.
    """
    try:
        if name == "timm":
            mend_torchvision()
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Networks of {name} need the package {error.name}, which is not installed. Type: "
            f'pip install "medshot[{name.partition(".")[0]}]"'
        ) from error
    except (ImportError, RuntimeError, OSError) as error:
        raise ConfigError(
            f"{name} is installed and cannot be imported ({error}). It may not fit torch "
            f"{torch.__version__}: pip install --upgrade {name}"
        ) from error


def no_such(network: str, known: Iterable[str], name: str) -> ConfigError:
    """The error for a network that `name` does not have; of its hundreds, the nearest few."""
    near = difflib.get_close_matches(network, list(known), n=5, cutoff=0.4)
    return unknown(network, near or ["(none is like it)"], kind=f"network of {name}")


def mend_torchvision() -> None:
    """Let torchvision be imported where it was built for another PyTorch than the one that is here.

    Its released packages are built for CUDA: with PyTorch for CPUs its compiled part is not
    loaded, and on import it misses two operators that timm never uses. Once they are declared
    it can be imported, and what timm takes of it (transforms) works.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for half in [m for m in sys.modules if m.partition(".")[0] == "torchvision"]:
            del sys.modules[half]
        declared = torch.library.Library("torchvision", "DEF")
        for operator in OPERATORS:
            declared.define(f"{operator}(Tensor boxes, Tensor scores, float most) -> Tensor")
        _DECLARED.append(declared)
        importlib.import_module("torchvision")


_DECLARED: list[torch.library.Library] = []  # an operator is there as long as its library
