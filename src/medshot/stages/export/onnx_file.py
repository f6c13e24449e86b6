"""Export a predictor as an ONNX file, with a script that runs it without medshot or PyTorch.

Predict with a file of `medshot export`, by onnxruntime, numpy and pillow alone.

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

from medshot.core.atomic import refuse_taken, replacing
from medshot.core.predictor import Predictor
from medshot.core.task import Card
from medshot.data.transforms import ImagePreprocessing
from medshot.stages.export.graph import answering


def export_onnx(predictor: Predictor, path: str | Path) -> Path:
    """Write `predictor` atomically to the new file `path`, in ONNX format.

    The graph takes images in [0, 1] and gives outputs as decoded by `Task.decode`, with a dynamic
    batch size. Labels, preprocessing, stages and the notice on research use are in
    `metadata_props`.

    Raises:
        ConfigError: a required package is not installed.
        SaveError: the file exists or cannot be written, or the predictor has no card.
        TaskError: the predictor cannot be exported.
    """
    path = Path(path)
    refuse_taken(path)
    data = answering(predictor).SerializeToString()
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return path


SCRIPT = Path(__file__).with_name("run_onnx.py")


def script_beside(out: Path, card: Card) -> Path | None:
    """Copy the script next to `out` unless it exists; None for tasks that it does not support."""
    whole = isinstance(card.preprocessing, ImagePreprocessing) and not card.task.on_grid
    if not whole or card.task.from_image:
        return None
    copied = out.with_name(SCRIPT.name)
    if not copied.exists():
        copied.write_bytes(SCRIPT.read_bytes())
    return copied


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
