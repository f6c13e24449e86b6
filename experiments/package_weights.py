"""The weights in the package, from the file of TensorFlow's: batch norm folded in, 16 bits mostly.

    python experiments/package_weights.py mobilenet_v1_1.0_224_imagenet_to_block12.npz

Writes src/medshot/nn/encoders/weights/mobilenet_v1.safetensors and prints its SHA-256, which
src/medshot/nn/encoders/mobilenet.py holds. Folding (Jacob et al. 2018, arXiv:1712.05877, sec. 3.2):
with s = weight / sqrt(running_var + eps), the kernel becomes s * kernel and the bias bias - s *
running_mean.
"""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save

from medshot.nn.encoders.mobilenet import EPS, PACKAGED
from medshot.pretraining.weights.load import tensors_in
from results import arguments

LAYERS = ["stem", *(f"block{i}.{kind}" for i in range(1, 13) for kind in ("dw", "pw"))]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("file", type=Path, help="the weights, not folded")
    tensors, _ = tensors_in(parser.parse_args().file)
    found = {}
    for layer in LAYERS:
        weight, shift, mean, variance = (
            tensors[f"{layer}.bn.{name}"].double()
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = weight / (variance + EPS).sqrt()
        kernel = tensors[f"{layer}.weight"].double() * scale[:, None, None, None]
        name = layer.replace(".", "_")
        # depthwise kernels are few, and their rounding is most of the error
        found[f"{name}.weight"] = kernel.half() if layer.endswith("pw") else kernel.float()
        found[f"{name}.bias"] = (shift - scale * mean).float()
    if not all(torch.isfinite(t).all() for t in found.values()):
        raise SystemExit("A number does not fit into 16 bits.")
    content = save(found, {"license": "Apache-2.0", "source": "MobileNetV1 1.0 224, ImageNet"})
    PACKAGED.write_bytes(content)
    print(f"{len(content) / 2**20:.2f} MiB, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
