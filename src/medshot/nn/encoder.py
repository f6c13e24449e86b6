"""Base class of encoders: images in [0, 1] of a fixed format to features."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import PARTS, ShapeError, import_files, make, names, options_of, unknown

SCALINGS = ("centre", "imagenet", "invert", "quantised", "signed", "standard", "unit")
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and std, RGB (torchvision's)
LINEAR = {
    "centre": (4.0, -2.0),
    "invert": (-1.0, 1.0),
    "quantised": (255 / 128, -1.0),
    "signed": (2.0, -1.0),
    "unit": (1.0, 0.0),
}


class Encoder(nn.Module):
    """Maps images `n c *s` in [0, 1] to features `n f`, or `n f *s` if it `keeps_grid`.

    Images are squares of `size` pixels; an encoder without a size takes any, and one whose `dims`
    is 3 takes volumes.

    The scaling of intensities is the encoder's first step, so that it is saved with the weights:
    `unit` leaves [0, 1], `invert` is 1 - x (bright ink on dark, for Omniglot), `centre` maps to
    [-2, 2], `standard` gives every image mean 0 and standard deviation 1. Three match pretrained
    networks: `signed` maps to [-1, 1], `quantised` is (p - 128) / 128 of 8-bit values p,
    `imagenet` subtracts the mean of ImageNet's pixels and divides by their standard deviation,
    averaged over the three channels if the image has one.
    """

    channels: int
    size: int | None
    n_features: int
    block_sizes: tuple[int, ...] = ()  # features per block of different scale; (): one block
    transductive: bool = False
    keeps_grid: ClassVar[bool] = False  # True: features `n f *s`, one vector per pixel
    stride: ClassVar[int] = 1  # pixels of a side per vector, where the grid is kept
    dims: ClassVar[int] = 2  # spatial axes
    whole: ClassVar[bool] = False  # True: large volumes are not cut into patches to learn from
    any_size: ClassVar[bool] = False  # True: takes images of any size; `size` is that of training
    about: Mapping[str, Any] = MappingProxyType({})  # provenance of pretrained weights
    begins_with_image: bool = False  # True: the first features of a pixel are its own channels
    source: ClassVar[str] = ""

    def __init__(self, channels: int, size: int | None, scaling: str) -> None:
        super().__init__()
        if scaling not in SCALINGS:
            raise unknown(scaling, SCALINGS, kind="scaling")
        self.channels, self.size, self.scaling = channels, size, scaling

    def scaled(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n c *s"]:
        """Intensities in the range that the layers expect."""
        self.check_form(x)
        if self.scaling == "standard":
            dims = tuple(range(1, x.ndim))
            variance = x.var(dims, keepdim=True, correction=0)
            return (x - x.mean(dims, True)) / (variance + 1e-5).sqrt()
        if self.scaling == "imagenet":
            mean, deviation = (_a_channel(values, x) for values in IMAGENET)
            return (x - mean) / deviation
        factor, shift = LINEAR[self.scaling]
        return x if self.scaling == "unit" else factor * x + shift

    @property
    def origin(self) -> str:
        """Where the weights come from."""
        return self.about.get("origin", "untrained")

    @property
    def seen(self) -> Sequence[Mapping[str, Any]]:
        """Data sets that the weights were trained on: hashes, each with its classes."""
        return self.about.get("seen", ())

    def pretrained(self) -> "Encoder":
        """Self, with the packaged pretrained weights loaded, if there are any."""
        return self

    def inner(self) -> nn.Module:
        """The submodule whose state dict has the tensor names of weight files."""
        return self

    def check_form(self, x: Tensor) -> None:
        """Raise `ShapeError` if these are not images, or volumes, of the expected shape."""
        free = self.size is None or self.any_size
        sides = x.shape[2:] if free else (self.size,) * self.dims
        if x.ndim == 2 + self.dims and x.shape[1:] == (self.channels, *sides):
            return
        shape = " x ".join(map(str, x.shape[1:]))
        if self.size is None:
            what = "volumes (depth, height, width)" if self.dims == 3 else "images (height, width)"
            raise ShapeError(
                f"This encoder takes {what} with {self.channels} channel(s), not {shape}."
            )
        raise ShapeError(
            f"This encoder takes images of {self.channels} x {self.size} x {self.size} "
            f"(channels, height, width), not {shape}. Load with "
            f"channels={self.channels}, size={self.size}."
        )


def encoder(name: str, **options: object) -> Encoder:
    """Build the encoder called `name`, in eval mode; options as in its class.

    All are untrained except `mobilenet`, whose ImageNet weights come with the package.

    Raises:
        ConfigError: an unknown encoder or option.
        SaveError: the packaged weights are missing or damaged.
    """
    import_files("medshot.nn")
    if f"encoder/{name}" not in PARTS:
        raise unknown(name, names("encoder"), kind="encoder")
    known = options_of(PARTS[f"encoder/{name}"])
    for option in options:
        if option not in known:
            raise unknown(option, known, kind=f"option of {name!r}")
    return make({"part": f"encoder/{name}", "options": options}).pretrained().eval()


def n_features(module: nn.Module) -> int:
    """Number of features of an encoder: its attribute `n_features`.

    Raises:
        ShapeError: the module has no such attribute.
    """
    found = getattr(module, "n_features", None)
    if not isinstance(found, int):
        raise ShapeError(
            f"{type(module).__name__} does not declare its number of features. Set "
            "`self.n_features` in its constructor."
        )
    return found


def flat(x: Tensor) -> Tensor:
    """Flatten `n ...` to `n f`."""
    return torch.flatten(x, 1)


def _a_channel(values: tuple[float, ...], x: Float[Tensor, "n c *s"]) -> Tensor:
    """One value per channel of `x`; their average unless there are three channels."""
    each = x.new_tensor(values)
    wanted = each if x.shape[1] == len(values) else each.mean(0, keepdim=True)
    return wanted.reshape(-1, *[1] * (x.ndim - 2))
