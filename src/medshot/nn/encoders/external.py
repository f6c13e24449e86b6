"""Networks of timm and MONAI, and any other module, as encoders; imported when first asked for."""

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

from medshot.core.errors import ConfigError, unknown
from medshot.core.predictor import eval_mode
from medshot.core.registry import part
from medshot.nn.encoder import Encoder

TOKENS = 3  # axes of what a transformer gives: n t f


class Wrapped(Encoder):
    """The features of a network `net` of a library.

    Where the network gives a map of the size of the image, this is an encoder that keeps the grid;
    a smaller map, or the tokens of a transformer, are averaged. Which it is, and how many features
    there are, is found by showing it one empty image.

    Raises:
        ConfigError: the network does not take such images, or gives nothing like features.
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
                "Take another size, --set encoder.size=224 for one."
            ) from error
        if not isinstance(z, Tensor) or z.ndim not in (2, TOKENS, 4):
            raise ConfigError(f"{name} gives no features of images: it cannot be an encoder.")
        self.keeps_grid = z.shape[2:] == (size, size)  # type: ignore[misc]  (of each network)
        self.n_features = z.shape[2] if z.ndim == TOKENS else z.shape[1]

    def inner(self) -> nn.Module:
        """The network as its library knows it."""
        return self.net

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f *t"]:
        """The features of images in [0, 1]."""
        z = first_of(self.net(self.scaled(x)))
        if z.ndim == TOKENS:
            return z.mean(1)
        return z if self.keeps_grid or z.ndim == 2 else z.mean((2, 3))


def first_of(output: Any) -> Any:
    """Some networks give more than their answer; that comes first."""
    return output[0] if isinstance(output, tuple | list) else output


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


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


@part("encoder", "monai")
class Monai(Wrapped):
    """The network called `network` in MONAI, in two dimensions and untrained.

    Source: Cardoso et al. 2022, arXiv:2211.02701 (MONAI). `arguments` are what the network's own
    constructor takes beside channels: pairs of a name and a value, `[["channels", [8, 16]],
    ["strides", [2]]]` for a UNet. A network with a last layer of outputs has `width` of them,
    which are the features. `resnet50` with `[["conv1_t_stride", 2], ["bias_downsample", false]]`
    is the one of He et al. 2016, arXiv:1512.03385, and takes the weights of torchvision's files.

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
            f"arguments are pairs of a name and a value, [[NAME, VALUE], ...], not {arguments!r}."
        ) from error


def _built(
    make: Callable[..., Any], name: str, channels: int, width: int, arguments: dict[str, Any]
) -> nn.Module:
    """The network, under the names that its kind has for channels in and out."""
    usual: dict[str, Any] = {"spatial_dims": 2}
    if "pretrained" in inspect.signature(make).parameters:
        usual["pretrained"] = False  # nothing is fetched here
    kinds = (
        {"in_channels": channels, "out_channels": width},
        {"n_input_channels": channels, "feed_forward": False},
        {"in_channels": channels, "num_classes": width},
    )
    said = []
    for kind in kinds:
        try:
            net = make(**{**usual, **kind, **arguments})
        except (TypeError, ValueError, ImportError, NotImplementedError, AssertionError) as error:
            said.append(str(error).partition("\n")[0])
            continue
        if isinstance(net, nn.Module):
            return net
    raise ConfigError(
        f"monai/{name} cannot be made with arguments {list(arguments.items())} "
        f"({'; or '.join(dict.fromkeys(said)) or 'it is no network'}). Say what it needs in "
        "--set 'encoder.arguments=[[NAME, VALUE], ...]'."
    )


@part("encoder", "timm")
class Timm(Wrapped):
    """The network called `network` in timm, without its head and untrained.

    Source: Wightman 2019, doi:10.5281/zenodo.4414861 (PyTorch Image Models). The default is the
    ResNet-50 of He et al. 2016, arXiv:1512.03385. Weights are put in afterwards, from a file or
    from the hub: a saved encoder needs neither.

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
    """The network as timm makes it, for images of such a form and without its head."""
    timm = library("timm")
    form = {"pretrained": pretrained, "in_chans": channels, "num_classes": 0}
    try:
        return timm.create_model(network, img_size=size, **form)
    except TypeError:  # most take images of any size, and no such argument
        return timm.create_model(network, **form)


def _checked(network: str, channels: int, size: int) -> nn.Module:
    timm = library("timm")
    if not timm.is_model(network):
        raise no_such(network, timm.list_models(), "timm")
    try:
        return created(network, channels, size)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"timm/{network} cannot have size {size} ({error}).") from error
