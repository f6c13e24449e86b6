"""The data files in the package: the portfolio of `medshot select`, and the encoder's weights.

    python experiments/package_data.py portfolio [--to src/medshot/selection/portfolio.json]
    python experiments/package_data.py weights mobilenet_v1_1.0_224_imagenet_to_block12.npz

`portfolio`: which configuration did how well on other data sets. From docs/results/medical.csv
(experiments/medical.py: eight `cls_*` sets, 1, 5 and 20 images a class, 40 episodes each): the mean
balanced accuracy of each learner that needs no meta-training, on the packaged encoder and on raw
pixels. Transductive ones are left out, as no predictor of theirs can be saved.

`weights`: from the file of TensorFlow's, batch norm folded in, 16 bits mostly. Writes
src/medshot/nn/encoders/weights/mobilenet_v1.safetensors and prints its SHA-256, which
src/medshot/nn/encoders/mobilenet.py holds. Folding (Jacob et al. 2018, arXiv:1712.05877, sec. 3.2):
with s = weight / sqrt(running_var + eps), the kernel becomes s * kernel and the bias bias - s *
running_mean. safetensors has the two notes of the header in any order: the hash is one of two.

The third, the prior of `stacked-probe`, is made by `experiments/stacked_probe.py --prior-only`.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from medical import PIXELS, SHOTS
from medical_tables import METRIC, read
from medshot.core.atomic import write_text
from medshot.nn.encoders.mobilenet import EPS, PACKAGED
from medshot.presenters.classification import BAR
from medshot.pretraining.weights.load import tensors_in
from medshot.selection import Configuration
from medshot.selection.space import STORED
from results import DOCS, arguments, read_csv

CSV = DOCS / "results" / "medical.csv"
ON: dict[str, dict[str, Any]] = {  # as experiments/medical.py has them
    "mobilenet": {"encoder.size": 128},
    "pixels": {f"encoder.{name}": value for name, value in PIXELS.items()},
}
OWN: dict[str, dict[str, Any]] = {  # the defaults with which they were measured
    "linear-probe": {"c": 100.0},
    "lda": {"shrinkage": None},
    "nearest-centroid": {},
    "simpleshot": {},
    "baseline++": {"steps": 100},
}
CONFIGURATIONS = {
    "stacked-probe/mobilenet": Configuration("stacked-probe", "mobilenet"),
    "linear-probe/bar": Configuration("linear-probe", "mobilenet", BAR),
    **{
        f"{name}/{on}": Configuration(name, on, form | own)
        for name, own in OWN.items()
        for on, form in ON.items()
        if (name, on) != ("linear-probe", "mobilenet")  # the bar is that of `select`
    },
}
LAYERS = ["stem", *(f"block{i}.{kind}" for i in range(1, 13) for kind in ("dw", "pw"))]


def main() -> None:
    parser = arguments(__doc__)
    parts = parser.add_subparsers(required=True, dest="part", metavar="portfolio | weights")
    parts.add_parser("portfolio").add_argument("--to", type=Path, default=STORED)
    parts.add_parser("weights").add_argument("file", type=Path, help="the weights, not folded")
    options = parser.parse_args()
    if options.part == "portfolio":
        portfolio(options.to)
    else:
        weights(options.file)


def portfolio(to: Path) -> None:
    """Write the scores of `CONFIGURATIONS` by set and shot."""
    table = read(CSV)
    sets = sorted({key[1] for key in table})
    rows = [
        {
            "set": name,
            "shot": shot,
            "scores": [table[k, name, shot, METRIC]["mean"] for k in CONFIGURATIONS],
        }
        for name in sets
        for shot in SHOTS
    ]
    about = {
        "made by": "python experiments/package_data.py portfolio",
        "measured by": "python experiments/medical.py --out runs/medical",
        "commits": sorted({row["commit"] for row in read_csv(CSV)}),
        "metric": METRIC,
    }
    told = [vars(each) for each in CONFIGURATIONS.values()]
    kinds = {"classification": {"configurations": told, "rows": rows}}
    write_text(to, json.dumps({**about, "kinds": kinds}, indent=1) + "\n")


def weights(file: Path) -> None:
    """Write the folded weights."""
    tensors, _ = tensors_in(file)
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
