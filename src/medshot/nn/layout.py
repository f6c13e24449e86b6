"""How an example of several kinds of data lies in one row of numbers.

Each kind has a place of its own: first a 1 if it is there or a 0 if it is missing, then its
values. The layout is the same for all data, so that any encoder of such rows takes any of them,
and what was learnt with an image can be asked without.
"""

from collections.abc import Mapping
from math import prod

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medshot.core.errors import ShapeError

RATE = 2000  # samples a second of a sound
COLUMNS = 32  # numbers of a table, and after them whether each is known
LAYOUT: dict[str, tuple[int, ...]] = {
    "image": (3, 64, 64),
    "table": (2, COLUMNS),
    "text": (1024,),
    "signal": (1, 4096),
}
WIDTH = sum(1 + prod(shape) for shape in LAYOUT.values())


def packed(parts: Mapping[str, Tensor]) -> Float[Tensor, "f"]:
    """One example: its kinds of data by name, those that are missing left out."""
    row = torch.zeros(WIDTH)
    for name, (first, last) in PLACES.items():
        if name in parts:
            if parts[name].shape != LAYOUT[name]:
                raise ShapeError(f"{name} is {tuple(parts[name].shape)}, not {LAYOUT[name]}.")
            row[first] = 1
            row[first + 1 : last] = parts[name].flatten()
    return row


def unpacked(
    x: Float[Tensor, "n f"],
) -> dict[str, tuple[Bool[Tensor, "n"], Float[Tensor, "n ..."]]]:
    """Where each kind is there, and its values: zeros where it is not."""
    return {
        name: (x[:, first] > 0.5, x[:, first + 1 : last].unflatten(1, LAYOUT[name]))
        for name, (first, last) in PLACES.items()
    }


def without(x: Float[Tensor, "n f"], name: str) -> Float[Tensor, "n f"]:
    """The same examples, all of them without the kind of data called `name`."""
    first, last = PLACES[name]
    found = x.clone()
    found[:, first:last] = 0
    return found


def _places() -> dict[str, tuple[int, int]]:
    found, first = {}, 0
    for name, shape in LAYOUT.items():
        last = first + 1 + prod(shape)
        found[name] = (first, last)
        first = last
    return found


PLACES = _places()  # the flag and, after it, the values of each kind
