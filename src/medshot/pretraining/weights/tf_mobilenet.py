"""MobileNets in .npz files that describe their architecture in a text `arch_json`."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from medshot.core.errors import DataError
from medshot.nn.encoder import Encoder
from medshot.nn.encoders.mobilenet import ADD, MobileNet
from medshot.pretraining.weights.load import filled, tensors_in

TEXT = "arch_json"
SUM, POOL = "add_block_input", "global_avg_pool"
SIZE = 96


def load_described(
    path: str | Path, *, channels: int = 3, size: int = SIZE, **options: Any
) -> Encoder:
    """Load the MobileNet in a file, up to the global average pooling of its last feature map.

    If batch norm is already folded into the convolutions, the file is assumed to be from a
    quantized (8-bit) network, whose input scaling is used unless `scaling` is given.

    Raises:
        DataError: the file is damaged, or has no architecture, or one that its tensors do not fit.
    """
    path = Path(path)
    tensors, texts = tensors_in(path)
    if TEXT not in texts:
        raise DataError(
            f"{path} does not say which network it is of (no {TEXT}). Name it, for example --set "
            "encoder.network=timm/resnet50."
        )
    try:
        layers = _layers(json.loads(texts[TEXT]), tensors)
        scaling = "signed" if any(name.endswith(".bn.weight") for name in tensors) else "quantised"
        form = {"channels": channels, "size": size, "scaling": scaling} | options
        encoder = MobileNet(layers=layers, **form)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError) as error:
        raise DataError(
            f"{path}: its {TEXT} is not a MobileNet, or does not match its tensors "
            f"({type(error).__name__}: {str(error)[:200]}). Download the file again."
        ) from error
    return filled(encoder, {_ours(name): t for name, t in tensors.items()}, path)


def _layers(said: list[dict[str, Any]], tensors: dict[str, Tensor]) -> list[list[Any]]:
    """Layer table for `MobileNet`: widths and kernel sizes are read off the tensors."""
    found: list[list[Any]] = []
    for row in said:
        if row["op"] == POOL:
            break
        if row["op"] == SUM:
            found.append([ADD])
            continue
        name = row["name"]
        outputs, _, kernel, _ = tensors[f"{name}.weight"].shape
        beside = [f"{name}.bn.weight" in tensors, f"{name}.bias" in tensors]
        form = [outputs, kernel, row["stride"], row["relu6"], *beside]
        found.append([row["op"], name.replace(".", "_"), *form])
    return found


def _ours(name: str) -> str:
    """Our name of a tensor: `block1.dw.bn.weight` is `layers.block1_dw.bn.weight`."""
    inner = ".bn." if ".bn." in name else "."
    layer, _, tensor = name.rpartition(inner)
    return f"layers.{layer.replace('.', '_')}{inner}{tensor}"
