"""What every encoder is: images in [0, 1] of a known form to features."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.discover import import_files
from medshot.core.errors import ShapeError, unknown
from medshot.core.parts import PARTS, make, names, options_of

SCALINGS = ("centre", "invert", "standard", "unit")


class Encoder(nn.Module):
    """Maps images `n c *s` in [0, 1] to features `n f`, or `n f *s` if it `keeps_grid`.

    Images are squares of `size` pixels; an encoder without a size takes any, and one whose `dims`
    is 3 takes volumes.

    The scaling of intensities is the encoder's first step, so that it travels with the
    weights: `unit` leaves [0, 1], `invert` is 1 - x (ink bright on dark, for Omniglot),
    `centre` maps to [-2, 2], `standard` gives every image mean 0 and deviation 1.
    """

    channels: int
    size: int | None
    n_features: int
    transductive: bool = False
    keeps_grid: ClassVar[bool] = False  # True: features `n f *s`, a row for every pixel
    dims: ClassVar[int] = 2  # spatial axes
    any_size: ClassVar[bool] = False  # True: takes images of any size; `size` is that of learning
    begins_with_image: bool = False  # True: the first features of a pixel are its own channels
    source: ClassVar[str] = ""

    def __init__(self, channels: int, size: int | None, scaling: str) -> None:
        super().__init__()
        if scaling not in SCALINGS:
            raise unknown(scaling, SCALINGS, kind="scaling")
        self.channels, self.size, self.scaling = channels, size, scaling

    def scaled(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n c *s"]:
        """Intensities as the layers want them."""
        self.check_form(x)
        if self.scaling == "invert":
            return 1 - x
        if self.scaling == "centre":
            return 4 * x - 2
        if self.scaling == "standard":
            dims = tuple(range(1, x.ndim))
            variance = x.var(dims, keepdim=True, correction=0)
            return (x - x.mean(dims, True)) / (variance + 1e-5).sqrt()
        return x

    def check_form(self, x: Tensor) -> None:
        """Raise `ShapeError` if these are not images, or volumes, of the form that it takes."""
        free = self.size is None or self.any_size
        sides = x.shape[2:] if free else (self.size,) * self.dims
        if x.ndim == 2 + self.dims and x.shape[1:] == (self.channels, *sides):
            return
        shape = " x ".join(map(str, x.shape[1:]))
        if self.size is None:
            what = "volumes (depth, height, width)" if self.dims == 3 else "images (height, width)"
            raise ShapeError(
                f"This encoder takes {self.channels} channel(s) of {what}, not {shape}."
            )
        raise ShapeError(
            f"This encoder takes images of {self.channels} x {self.size} x {self.size} "
            f"(channels, height, width), not {shape}. Load with "
            f"channels={self.channels}, size={self.size}."
        )


def encoder(name: str, **options: object) -> Encoder:
    """The encoder called `name`, untrained, in eval mode. Options as in its class.

    Raises:
        ConfigError: an unknown encoder or option.
    """
    import_files("medshot.nn")
    if f"encoder/{name}" not in PARTS:
        raise unknown(name, names("encoder"), kind="encoder")
    known = options_of(PARTS[f"encoder/{name}"])
    for option in options:
        if option not in known:
            raise unknown(option, known, kind=f"option of {name!r}")
    return make({"part": f"encoder/{name}", "options": options}).eval()


def n_features(module: nn.Module) -> int:
    """How many features an encoder gives: its attribute `n_features`."""
    found = getattr(module, "n_features", None)
    if not isinstance(found, int):
        raise ShapeError(
            f"{type(module).__name__} does not say how many features it gives. Set "
            "`self.n_features` in its constructor."
        )
    return found


def flat(x: Tensor) -> Tensor:
    """`n ...` to `n f`."""
    return torch.flatten(x, 1)
