"""Any network of MONAI as an encoder."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from medshot.core.errors import ConfigError
from medshot.core.parts import part
from medshot.nn.outside import library, no_such
from medshot.nn.wrapped import Wrapped


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
