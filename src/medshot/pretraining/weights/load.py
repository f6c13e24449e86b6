"""Load the weights of a file into an encoder. No code in the file is run."""

import copy
import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from medshot.core import DataError
from medshot.nn.encoder import Encoder
from medshot.nn.encoders.mobilenet import ADD, MobileNet

MOST = 8 * 2**30  # bytes once unpacked: more than any encoder needs, possibly a zip bomb
NESTED = ("state_dict", "model_state_dict", "model", "net")  # keys of the weights in checkpoints


def tensors_in(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a file by name, as float32, and its text metadata.

    Raises:
        DataError: missing, of an unsupported format, damaged, not weights, or not finite.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}. Name a file of weights ({', '.join(READERS)}).")
    if path.suffix not in READERS:
        raise DataError(
            f"{path}: weights are read from {', '.join(READERS)}, not from {path.suffix or 'this'}."
        )
    try:
        _refuse_huge(path)
        found = READERS[path.suffix](path)
    except DataError:
        raise
    except Exception as error:  # readers raise any exception on a damaged archive
        raise DataError(
            f"{path} cannot be read as weights ({_line(error)}): damaged, or more than tensors. "
            "Pickles with other objects are never loaded: convert the file to .safetensors."
        ) from error
    tensors = {name: _checked(name, t, path) for name, t in found.items() if isinstance(t, Tensor)}
    if not tensors:
        raise DataError(f"{path} holds no tensors. Name a file of weights.")
    return tensors, {name: text for name, text in found.items() if isinstance(text, str)}


def _npz(path: Path) -> dict[str, Any]:
    with path.open("rb") as file, np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    texts = {name: str(a) for name, a in arrays.items() if a.dtype.kind == "U" and a.ndim == 0}
    numbers = {name: torch.from_numpy(a) for name, a in arrays.items() if a.dtype.kind in "fiub"}
    return texts | numbers


def _checkpoint(path: Path) -> dict[str, Any]:
    found = torch.load(path, map_location="cpu", weights_only=True)
    for name in NESTED:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict):
        raise DataError(f"{path} holds {type(found).__name__}, not tensors by name (a state dict).")
    return {str(name): value for name, value in found.items()}


READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npz": _npz,
    ".safetensors": lambda path: dict(load_file(path)),
    ".pth": _checkpoint,
    ".pt": _checkpoint,
    ".bin": _checkpoint,
}


def _refuse_huge(path: Path) -> None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    else:
        size = path.stat().st_size
    if size > MOST:
        raise DataError(
            f"{path} unpacks to {size / 2**30:.0f} GB, more than an encoder needs: not opened."
        )


def _checked(name: str, tensor: Tensor, path: Path) -> Tensor:
    if tensor.is_complex() or tensor.is_sparse or tensor.is_quantized:
        raise DataError(f"{path}: {name} is not a dense tensor. Save it as plain numbers.")
    if not tensor.is_floating_point():
        return tensor
    if not torch.isfinite(tensor).all():
        raise DataError(
            f"{path}: {name} holds values that are not finite (NaN or infinity). Fetch the file "
            "again, or take another."
        )
    return tensor.float()


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


PREFIXES = ("", "module.", "model.", "backbone.", "encoder.", "net.", "module.encoder_q.")
COUNTER = "num_batches_tracked"  # buffer of batch norm, which files may lack
IMAGES = 4  # axes of the weight of a 2D convolution


def load_weights(encoder: Encoder, path: str | Path) -> Encoder:
    """Copy `encoder` with the weights of a file: .npz, .safetensors, .pth, .pt or .bin.

    Other tensors of the file, such as a head for ImageNet's classes, are ignored.

    Raises:
        DataError: the file is damaged, or of another architecture.
    """
    tensors, _ = tensors_in(Path(path))
    return filled(encoder, tensors, Path(path))


def filled(encoder: Encoder, tensors: Mapping[str, Tensor], path: Path) -> Encoder:
    """Copy `encoder` with `tensors`, which are from the file `path`."""
    copied = copy.deepcopy(encoder)
    wanted = copied.inner().state_dict()
    prefix = max(PREFIXES, key=lambda p: sum(p + name in tensors for name in wanted))
    found = {
        name: in_channels(tensors[prefix + name], like)
        for name, like in wanted.items()
        if prefix + name in tensors
    }
    _refuse_other(found, wanted, path)
    copied.inner().load_state_dict(wanted | found)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    copied.about = {"origin": f"weights of {path.name}", "file": path.name, "file_sha256": sha256}
    return copied.eval()


def in_channels(weight: Tensor, like: Tensor) -> Tensor:
    """Adapt the weight of a first convolution from RGB to gray images, or from gray to RGB.

    Kernels are summed over the channels: a gray image is an RGB image with three equal channels.
    From gray to RGB, each channel gets a third of the kernel.
    """
    if weight.ndim != IMAGES or like.ndim != IMAGES or weight.shape[0] != like.shape[0]:
        return weight
    if (weight.shape[1], like.shape[1]) == (3, 1):
        return weight.sum(1, keepdim=True)
    if (weight.shape[1], like.shape[1]) == (1, 3):
        return weight.expand(-1, 3, -1, -1) / 3
    return weight


def _refuse_other(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    missing = [name for name in wanted if name not in found and not name.endswith(COUNTER)]
    other = [name for name, tensor in found.items() if tensor.shape != wanted[name].shape]
    if not missing and not other:
        return
    said = []
    if missing:
        said.append(f"{len(missing)} of its {len(wanted)} tensors are missing ({missing[0]}, ...)")
    if other:
        shapes = (tuple(found[other[0]].shape), tuple(wanted[other[0]].shape))
        said.append(f"{len(other)} have another shape ({other[0]}: {shapes[0]}, not {shapes[1]})")
    raise DataError(
        f"{path} is of another architecture than this encoder: {', and '.join(said)}. Name its "
        "network, for example --set encoder.network=timm/resnet50, and its options."
    )


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
