"""Predict with a file of `medshot export`, by onnxruntime, numpy and pillow alone.

    python run_onnx.py MODEL.onnx IMAGES

IMAGES are files, or folders of them: PNG, JPEG, TIFF (with tifffile) and DICOM (with pydicom). They
become the same pixels as in medshot; a file that does not is not answered for, with the reason. For
labels, grades, findings and numbers. Research use only.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime

from medshot.data.io.pixels import UnreadableError, squared
from medshot.stages.export.image_files import files, pixels_in


def answers(model: str, paths: list[str]) -> Iterator[dict[str, Any]]:
    """Yield a number for each label of each image; the reason for a file that is not read."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    form, labels = json.loads(about["preprocessing"])["options"], json.loads(about["labels"])
    for path in files(paths):
        try:
            pixels = pixels_in(path)
        except UnreadableError as error:
            yield {"path": str(path), "not read": str(error)}
            continue
        images = squared(pixels, form["channels"], form["size"], form["resize"])[None]
        answer: Any = session.run(["answer"], {"images": images.astype(np.float32) / 255})[0]
        yield {"path": str(path), **dict(zip(labels, answer[0].tolist(), strict=True))}


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for row in answers(sys.argv[1], sys.argv[2:]):
        print(json.dumps(row))
