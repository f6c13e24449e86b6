"""Time and memory of volumes of the size of an abdominal CT, made up, by auto-context.

    python experiments/large_volume.py --out runs/large

Writes `--volumes` volumes of 256 x 256 x 120 voxels of 1 x 1 x 2.5 mm with masks of liver and
kidneys, and one to ask about: ellipsoids of the brightness of organs in a body, each moved, scaled
and noisy, and a spleen as bright as the liver. With `--mixed`, the second volume has voxels of
0.8 x 0.8 x 3 mm, so that the support is resampled. Prints a line of JSON: processor seconds of
reading, learning (without cross-validation, which learns again for each part left out) and one
answer, the largest memory, and the Dice of each organ. It says that volumes of this size are
handled, nothing about patients.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import torch

import medshot
from medshot.core.atomic import write_text
from results import arguments, commit, hardware

SHAPE, SPACING, OTHER = (256, 256, 120), (1.0, 1.0, 2.5), (0.8, 0.8, 3.0)
NOISE, AIR, BODY = 25.0, -1000.0, 40.0  # Hounsfield units
SLIPS, SWELLS = 6.0, 0.08  # mm, relative: standard deviations of place and size
# name, mask, Hounsfield units, middle and half axes in mm, from the middle of the volume
ORGANS = (
    ("spine", 0, 300.0, (0, 60, 0), (18, 18, 150)),
    ("liver", 1, 105.0, (-55, -15, 40), (45, 55, 60)),
    ("spleen", 0, 105.0, (70, 25, 50), (20, 30, 40)),
    ("right kidney", 2, 160.0, (-45, 45, -50), (20, 22, 45)),
    ("left kidney", 2, 160.0, (45, 45, -40), (20, 22, 45)),
)
LARGEST = 4096  # MiB


def main() -> None:
    options = _options()
    folder = options.out / "set"
    folder.mkdir(parents=True)
    lines = ["path,mask"]
    for i in range(options.volumes):
        other = options.mixed and i == 1
        _write(folder, i, OTHER if other else SPACING)
        lines.append(f"{i}.nii.gz,m{i}.nii.gz")
    write_text(folder / "labels.csv", "\n".join(lines) + "\n")
    (options.out / "new").mkdir()
    truth = _write(options.out / "new", options.volumes, SPACING)
    (options.out / "new" / f"m{options.volumes}.nii.gz").rename(options.out / "truth.nii.gz")
    torch.set_num_threads(1)
    seconds, started = [], time.process_time()
    data = medshot.load(folder)
    seconds.append(time.process_time() - started)
    learner = medshot.build("auto-context", encoder=medshot.encoder("voxels"))
    predictor = learner.adapt(data)
    seconds.append(time.process_time() - started - seconds[0])
    started = time.process_time()
    found = predictor.predict(options.out / "new" / f"{options.volumes}.nii.gz").mask
    seconds.append(time.process_time() - started)
    marks = [(found == c, truth == c) for c in (1, 2)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = {
        "volumes": options.volumes,
        "mixed": options.mixed,
        "seconds": [round(each, 1) for each in seconds],
        "MiB": round(peak),
        "Dice": [round(float(2 * (a & b).sum() / (a.sum() + b.sum())), 3) for a, b in marks],
        "hardware": hardware(),
        "commit": commit(),
    }
    write_text(options.out / "row.json", json.dumps(row) + "\n")
    print(json.dumps(row))
    if peak > LARGEST:
        sys.exit("More than 4 GiB of memory.")


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="new folder of the run")
    parser.add_argument("--volumes", type=int, default=2, help="volumes with masks")
    parser.add_argument("--mixed", action="store_true", help="the second of another spacing")
    return parser.parse_args()


def _write(folder: Path, seed: int, spacing: tuple[float, float, float]) -> np.ndarray:
    """A volume and its mask, which is returned."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(
        *[
            (np.arange(n, dtype=np.float32) - n / 2) * mm
            for n, mm in zip(SHAPE, spacing, strict=True)
        ],
        indexing="ij",
        sparse=True,
    )
    values = np.where((x / 120) ** 2 + (y / 95) ** 2 < 1, BODY, AIR) + 0 * z
    mask = np.zeros(SHAPE, np.uint8)
    for _, number, brightness, middle, axes in ORGANS:
        moved = np.array(middle) + SLIPS * rng.standard_normal(3)
        sides = np.array(axes) * (1 + SWELLS * rng.standard_normal(3))
        inside = sum(
            ((axis - m) / s) ** 2 for axis, m, s in zip((x, y, z), moved, sides, strict=True)
        )
        values[inside < 1] = brightness
        mask[inside < 1] = number
    values += NOISE * rng.standard_normal(SHAPE)
    affine = np.diag([*spacing, 1.0])
    for name, array in ((f"{seed}", values.astype(np.int16)), (f"m{seed}", mask)):
        nibabel.save(nibabel.Nifti1Image(array, affine), folder / f"{name}.nii.gz")
    return mask


if __name__ == "__main__":
    main()
