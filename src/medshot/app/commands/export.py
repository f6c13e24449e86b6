"""`medshot export`: a model as a file that runs without medshot."""

from pathlib import Path
from shlex import quote

import typer

from medshot.app.parse import THREADS, new_folder

FORMATS = ("bundle", "onnx")


def export(
    model: Path = typer.Argument(help="A folder that medshot made."),
    format_: str = typer.Option("onnx", "--format", help="onnx: one file; bundle: for MONAI."),
    out: Path = new_folder("The file to write (for a bundle, the folder); must not exist."),
    threads: int = THREADS,
) -> None:
    """Write a model for machines without medshot; the model itself stays as it is.

    An ONNX file takes images in [0, 1] and gives answers (probabilities, numbers, masks), any
    number of images at once, in any program that runs ONNX. Labels, preprocessing and what the
    model is for are inside. A script beside it, run_onnx.py, runs it with onnxruntime, numpy and
    pillow alone, where the model answers about whole images.

    A bundle is a folder that `python -m monai.bundle run` runs.

    Examples:

        medshot export my_model --out my_model.onnx

        medshot export my_model --format bundle --out my_bundle
    """
    from medshot.app.parse import python
    from medshot.app.terminal import busy, tell
    from medshot.core.errors import unknown
    from medshot.core.predictor import load_predictor
    from medshot.stages.export.onnx_file import script_beside
    from medshot.training.device import limit_threads

    if format_ not in FORMATS:
        raise unknown(format_, FORMATS, kind="format")
    predictor = load_predictor(model)
    with busy(f"exporting {model}"), limit_threads(threads):
        if format_ == "onnx":
            from medshot.stages.export.onnx_file import export_onnx

            export_onnx(predictor, out)
        else:
            from medshot.stages.export.monai_bundle import export_bundle

            export_bundle(predictor, out)
    files = [out] if out.is_file() else [f for f in out.rglob("*") if f.is_file()]
    tell(
        f"{out}: {sum(f.stat().st_size for f in files) / 1e6:.2f} MB, {predictor.known_card().kind}"
    )
    if format_ == "bundle":
        tell(
            f"Next: cd {quote(str(out))} && {python()} -m monai.bundle run --config_file "
            "configs/inference.json --meta_file configs/metadata.json --dataset_dir IMAGES"
        )
    else:
        script = script_beside(out, predictor.known_card())
        if script:
            tell(f"Next: {python()} {quote(str(script))} {quote(str(out))} IMAGES")
