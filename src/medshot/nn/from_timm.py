"""Any network of timm as an encoder."""

from torch import nn

from medshot.core.errors import ConfigError
from medshot.core.parts import part
from medshot.nn.outside import library, no_such
from medshot.nn.wrapped import Wrapped


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
