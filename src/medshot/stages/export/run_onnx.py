"""Predict with a file of `medshot export`, by onnxruntime, numpy and pillow alone.

    python run_onnx.py MODEL.onnx IMAGES

IMAGES are files, or folders of them. For labels, grades, findings and numbers of 8-bit images.
Research use only.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def files(paths: list[str]) -> list[str]:
    """The given files, and the images in the given folders."""
    known, found = Image.registered_extensions(), []
    for path in map(Path, paths):
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [str(p) for p in inside if p == path or p.suffix.lower() in known]
    return found


def answers(model: str, paths: list[str]) -> Iterator[dict[str, Any]]:
    """Yield a number for each label of each image; the error of a file that cannot be read."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    form, labels = json.loads(about["preprocessing"])["options"], json.loads(about["labels"])
    size, mode = (form["size"], form["size"]), "L" if form["channels"] == 1 else "RGB"
    for path in files(paths):
        try:
            image = ImageOps.exif_transpose(Image.open(path)).convert(mode)
        except OSError as error:
            yield {"path": path, "not read": str(error)}
            continue
        pixels = np.asarray(
            image.resize(size, Image.Resampling[form["resize"].upper()]), np.float32
        )
        images = pixels.reshape(1, *size, form["channels"]).transpose(0, 3, 1, 2) / 255
        answer: Any = session.run(["answer"], {"images": images})[0]
        yield {"path": path, **dict(zip(labels, answer[0].tolist(), strict=True))}


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for row in answers(sys.argv[1], sys.argv[2:]):
        print(json.dumps(row))
