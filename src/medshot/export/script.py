"""The script that goes with an ONNX file to a machine without medshot."""

from pathlib import Path

from medshot.core.predictor import Card
from medshot.data.transforms import ImagePreprocessing

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
