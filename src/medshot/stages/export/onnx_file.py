"""Export of a predictor as one ONNX file, with a script that runs it without medshot or PyTorch."""

from pathlib import Path

from medshot.core.atomic import refuse_taken, replacing
from medshot.core.predictor import Predictor
from medshot.core.task import Card
from medshot.data.transforms import ImagePreprocessing
from medshot.stages.export.graph import answering


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


SCRIPT = Path(__file__).with_name("run_onnx.py")


def script_beside(out: Path, card: Card) -> Path | None:
    """A copy beside `out`; one that is there stays. None for kinds that it does not answer."""
    whole = isinstance(card.preprocessing, ImagePreprocessing) and not card.task.on_grid
    if not whole or card.task.from_image:
        return None
    copied = out.with_name(SCRIPT.name)
    if not copied.exists():
        copied.write_bytes(SCRIPT.read_bytes())
    return copied
