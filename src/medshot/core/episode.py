"""Examples and episodes: the support to adapt on and the query to evaluate on.

Shape letters, the same in every file:
    n  examples in a set       k  outputs of a predictor (one per class, ...)
    c  image channels          f  features of an encoder
    *s spatial axes: none, (h w) for a slice, (z h w) for a volume
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from medshot.core.errors import LeakError, ShapeError
from medshot.core.task import Task


@dataclass(frozen=True)
class Examples:
    """Images with their targets, whose meaning the task defines.

    `groups` holds one number per patient (or other unit that must not be split), -1 where unknown;
    None if no patient is known.
    """

    x: Float[Tensor, "n c *s"]
    y: Shaped[Tensor, "n ..."]
    groups: Shaped[Tensor, "n"] | None = None

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ShapeError(
                f"Got {len(self.x)} images but {len(self.y)} targets: x and y must have the same "
                "length."
            )

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Tensor | slice) -> "Examples":
        """Examples at `index`: a slice, or a tensor of positions or booleans."""
        groups = None if self.groups is None else self.groups[index]
        return Examples(self.x[index], self.y[index], groups)

    def __add__(self, other: "Examples") -> "Examples":
        """Concatenate two sets of examples, without patients."""
        return Examples(torch.cat([self.x, other.x]), torch.cat([self.y, other.y]))

    def to(self, like: Tensor) -> "Examples":
        """Move to the device of `like`, with images in its dtype."""
        y = self.y.to(like.device)
        return replace(self, x=self.x.to(like), y=y)


@dataclass(frozen=True)
class Episode:
    """One few-shot problem: adapt on `support`, evaluate on `query`.

    Raises:
        LeakError: a patient is in both.
    """

    task: Task
    support: Examples
    query: Examples

    def __post_init__(self) -> None:
        groups, others = self.support.groups, self.query.groups
        if groups is None or others is None or not (groups >= 0).any():
            return
        shared = groups[torch.isin(groups, others)]
        shared = shared[shared >= 0].unique()
        if len(shared):
            raise LeakError(
                f"{len(shared)} patient(s) are in both support and query (first: number "
                f"{shared[0]}). Split by patient: `medshot.split_patients`, or give every image "
                "of a patient the same value in the column `patient`."
            )
