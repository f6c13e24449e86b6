"""Networks of timm and MONAI as encoders; both packages are imported on first use."""

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import ConfigError, eval_mode, part, unknown
from medshot.nn.encoder import Encoder

TOKENS = 3  # axes of a transformer's output: n t f


class Wrapped(Encoder):
    """Encoder around a library network `net`.

    If the network returns a map of the image's size, the encoder keeps the grid; smaller maps and
    transformer tokens are averaged. Output shape and number of features are found by a forward
    pass on one empty image.

    Raises:
        ConfigError: the network does not take such images, or returns no features.
    """

    def __init__(self, net: nn.Module, channels: int, size: int, scaling: str, name: str) -> None:
        super().__init__(channels, size, scaling)
        self.net = net
        try:
            with torch.no_grad(), eval_mode(net):
                z = first_of(net(torch.zeros(1, channels, size, size)))
        except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
            raise ConfigError(
                f"{name} does not take images of {channels} x {size} x {size} ({_line(error)}). "
                "Try another size, for example --set encoder.size=224."
            ) from error
        if not isinstance(z, Tensor) or z.ndim not in (2, TOKENS, 4):
            raise ConfigError(f"{name} gives no features of images, so it cannot be an encoder.")
        self.keeps_grid = z.shape[2:] == (size, size)  # type: ignore[misc]  (of each network)
        self.n_features = z.shape[2] if z.ndim == TOKENS else z.shape[1]

    def inner(self) -> nn.Module:
        """The library's network."""
        return self.net

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f *t"]:
        """Features of images in [0, 1]."""
        z = first_of(self.net(self.scaled(x)))
        if z.ndim == TOKENS:
            return z.mean(1)
        return z if self.keeps_grid or z.ndim == 2 else z.mean((2, 3))


def first_of(output: Any) -> Any:
    """The first output of a network with several outputs."""
    return output[0] if isinstance(output, tuple | list) else output


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


OPERATORS = ("nms", "qnms")


def library(name: str) -> ModuleType:
    """Import timm or monai; the medshot extra has the same name.

    Raises:
        ConfigError: the package is not installed, or cannot be imported.
    """
    try:
        if name == "timm":
            patch_torchvision()
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Networks of {name} need the package {error.name}, which is not installed. Type: "
            f'pip install "medshot[{name.partition(".")[0]}]"'
        ) from error
    except (ImportError, RuntimeError, OSError) as error:
        raise ConfigError(
            f"{name} is installed but cannot be imported ({error}). It may not be compatible with "
            f"torch {torch.__version__}: pip install --upgrade {name}"
        ) from error


def no_such(network: str, known: Iterable[str], name: str) -> ConfigError:
    """Error for an unknown network of `name`, with the closest known names."""
    near = difflib.get_close_matches(network, list(known), n=5, cutoff=0.4)
    return unknown(network, near or ["(no similar name)"], kind=f"network of {name}")


def patch_torchvision() -> None:
    """Make torchvision importable if it was built for another PyTorch.

    Its released packages are built for CUDA. With a CPU build of PyTorch its compiled extension is
    not loaded, and the import fails on two operators that timm never uses. Declaring them fixes
    the import, and the parts that timm needs (transforms) work.
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


_DECLARED: list[torch.library.Library] = []  # keeps the operators registered


@part("encoder", "monai")
class Monai(Wrapped):
    """MONAI's network `network`, in two dimensions and untrained.

    Source: Cardoso et al. 2022, arXiv:2211.02701 (MONAI). `arguments` are arguments of the
    network's constructor other than channels: pairs of a name and a value, `[["channels", [8, 16]],
    ["strides", [2]]]` for a UNet. A network with an output layer gets `width` outputs, which are
    the features. `resnet50` with `[["conv1_t_stride", 2], ["bias_downsample", false]]` is the one
    of He et al. 2016, arXiv:1512.03385, and can load torchvision's weights.

    Raises:
        ConfigError: MONAI is not installed, or has no such network, or not with such arguments.
    """

    source = "Cardoso et al. 2022, arXiv:2211.02701"

    def __init__(
        self,
        *,
        network: str = "resnet50",
        channels: int = 3,
        size: int = 96,
        width: int = 64,
        arguments: Sequence[Sequence[Any]] = (),
        scaling: str = "standard",
    ) -> None:
        library("monai")
        nets = vars(library("monai.networks.nets"))
        known = {n: v for n, v in nets.items() if callable(v) and not n.startswith("_")}
        if network not in known:
            raise no_such(network, known, "MONAI")
        net = _built(known[network], network, channels, width, _pairs(arguments))
        super().__init__(net, channels, size, scaling, f"monai/{network}")


def _pairs(arguments: Sequence[Sequence[Any]]) -> dict[str, Any]:
    try:
        return {str(name): value for name, value in arguments}
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"arguments must be pairs of name and value, [[NAME, VALUE], ...], not {arguments!r}."
        ) from error


def _built(
    make: Callable[..., Any], name: str, channels: int, width: int, arguments: dict[str, Any]
) -> nn.Module:
    """Build the network, trying the known names of its channel arguments."""
    usual: dict[str, Any] = {"spatial_dims": 2}
    if "pretrained" in inspect.signature(make).parameters:
        usual["pretrained"] = False  # no download
    variants = (
        {"in_channels": channels, "out_channels": width},
        {"n_input_channels": channels, "feed_forward": False},
        {"in_channels": channels, "num_classes": width},
    )
    causes = []
    for variant in variants:
        try:
            net = make(**{**usual, **variant, **arguments})
        except (TypeError, ValueError, ImportError, NotImplementedError, AssertionError) as error:
            causes.append(str(error).partition("\n")[0])
            continue
        if isinstance(net, nn.Module):
            return net
    raise ConfigError(
        f"monai/{name} cannot be built with arguments {list(arguments.items())} "
        f"({'; or '.join(dict.fromkeys(causes)) or 'it is not a network'}). Pass what it needs by "
        "--set 'encoder.arguments=[[NAME, VALUE], ...]'."
    )


@part("encoder", "timm")
class Timm(Wrapped):
    """timm's network `network`, without its head and untrained.

    Source: Wightman 2019, doi:10.5281/zenodo.4414861 (PyTorch Image Models). The default is the
    ResNet-50 of He et al. 2016, arXiv:1512.03385. Weights are loaded afterwards, from a file or
    from the hub; a saved encoder needs neither.

    Raises:
        ConfigError: timm is not installed, or has no such network.
    """

    source = "Wightman 2019, doi:10.5281/zenodo.4414861"

    def __init__(
        self,
        *,
        network: str = "resnet50",
        channels: int = 3,
        size: int = 96,
        scaling: str = "imagenet",
    ) -> None:
        net = _checked(network, channels, size)
        super().__init__(net, channels, size, scaling, f"timm/{network}")


def created(network: str, channels: int, size: int, *, pretrained: bool = False) -> nn.Module:
    """timm's network without its head, for images of this size and number of channels."""
    timm = library("timm")
    form = {"pretrained": pretrained, "in_chans": channels, "num_classes": 0}
    try:
        return timm.create_model(network, img_size=size, **form)
    except TypeError:  # most networks take any size and have no such argument
        return timm.create_model(network, **form)


def _checked(network: str, channels: int, size: int) -> nn.Module:
    timm = library("timm")
    if not timm.is_model(network):
        raise no_such(network, timm.list_models(), "timm")
    try:
        return created(network, channels, size)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"timm/{network} cannot have size {size} ({error}).") from error
