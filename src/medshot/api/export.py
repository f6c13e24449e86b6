"""Export of a predictor for machines without medshot: `medshot.export`."""

from dataclasses import dataclass
from pathlib import Path

from medshot.core.errors import unknown
from medshot.core.predictor import Predictor, load_predictor
from medshot.core.table import Table, Tabular
from medshot.stages.export.monai_bundle import export_bundle
from medshot.stages.export.onnx_file import export_onnx, script_beside

FORMATS = {"bundle": export_bundle, "onnx": export_onnx}


@dataclass(frozen=True)
class Exported(Tabular):
    """The file or folder that was written, and the script that runs it (None for a bundle)."""

    path: Path
    format: str
    task: str
    script: Path | None

    @property
    def megabytes(self) -> float:
        """Size on disk, in 10^6 bytes."""
        inside = [self.path] if self.path.is_file() else self.path.rglob("*")
        return sum(file.stat().st_size for file in inside if file.is_file()) / 1e6

    def table(self) -> Table:
        """A line: path, size and task."""
        return Table(f"{self.path}: {self.megabytes:.2f} MB, {self.task}")


def export(model: Predictor | str | Path, out: str | Path, format: str = "onnx") -> Exported:
    """Write a predictor, or one that was saved in a folder, as an ONNX file or a MONAI bundle.

    A script beside an ONNX file runs it without medshot, where it predicts for whole images.

    Raises:
        ConfigError: an unknown format, or a package that it needs is not installed.
        SaveError: `out` exists or cannot be written, or the predictor has no card.
        TaskError: the predictor does what no graph holds.
    """
    if format not in FORMATS:
        raise unknown(format, FORMATS, kind="format")
    predictor = model if isinstance(model, Predictor) else load_predictor(model)
    path, card = Path(out), predictor.known_card()
    FORMATS[format](predictor, path)
    script = script_beside(path, card) if format == "onnx" else None
    return Exported(path, format, card.kind, script)
