"""Weights from elsewhere put into an encoder, or a clear word on why they are not its own."""

import copy
import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from medshot.core.errors import DataError
from medshot.nn.encoder import Encoder
from medshot.pretraining.weights.read import tensors_in

PREFIXES = ("", "module.", "model.", "backbone.", "encoder.", "net.", "module.encoder_q.")
COUNTER = "num_batches_tracked"  # of batch normalisation, which files may lack
IMAGES = 4  # axes of the weight of a convolution of images


def load_weights(encoder: Encoder, path: str | Path) -> Encoder:
    """A copy of `encoder` with the weights in a file: .npz, .safetensors, .pth, .pt or .bin.

    What the file has beside them, a head for ImageNet's classes for one, is left out.

    Raises:
        DataError: the file is damaged, or of another architecture.
    """
    tensors, _ = tensors_in(Path(path))
    return filled(encoder, tensors, Path(path))


def filled(encoder: Encoder, tensors: Mapping[str, Tensor], path: Path) -> Encoder:
    """A copy of `encoder` with `tensors`, which are from the file `path`."""
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
    """The first convolution of a network of colour images, for grey ones, or the other way.

    Kernels are added up: a grey image is a colour image whose three channels are the same, and
    the sum of the three answers to one channel is the answer of their sum. To three channels each
    gets a third of it.
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
        f"{path} is of another architecture than this encoder: {', and '.join(said)}. Say which "
        "network it is of, --set encoder.network=timm/resnet50 for one, and its options."
    )
