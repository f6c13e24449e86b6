"""Export a predictor as an ONNX file, with a script that runs it without medshot or PyTorch."""

from pathlib import Path

from medshot.core import Card, Predictor
from medshot.core.atomic import refuse_taken, replacing
from medshot.data.transforms import ImagePreprocessing
from medshot.stages.export.graph import answering
from medshot.stages.export.standalone import standalone


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
    """Write the script next to `out` unless it exists; None for tasks that it does not support.

    It reads files by medshot's own code (see `standalone`).
    """
    whole = isinstance(card.preprocessing, ImagePreprocessing) and not card.task.on_grid
    if not whole or card.task.from_image:
        return None
    copied = out.with_name(SCRIPT.name)
    if not copied.exists():
        copied.write_text(standalone(SCRIPT))
    return copied
