"""A predictor as one file that a small machine runs: no medshot, no PyTorch, no network."""

from pathlib import Path

from medshot.core.atomic import refuse_taken, replacing
from medshot.core.predictor import Predictor
from medshot.export.answering import answering


def export_onnx(predictor: Predictor, path: str | Path) -> Path:
    """Write `predictor` to the new file `path`, in ONNX's format; whole or not at all.

    It takes images in [0, 1] and gives answers as `Task.decode` does, any number at once. Labels,
    preprocessing, stages and the notice on research use are in its `metadata_props`.

    Raises:
        ConfigError: the packages that this needs are not installed.
        SaveError: the file exists or cannot be written, or the predictor has no card.
        TaskError: the predictor does what no graph holds.
    """
    path = Path(path)
    refuse_taken(path)
    data = answering(predictor).SerializeToString()
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return path
