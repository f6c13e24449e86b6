"""`medshot export`: a model as a file that runs without medshot."""

from pathlib import Path
from shlex import quote

import typer

from medshot.app.parse import THREADS, out_option


def export(
    model: Path = typer.Argument(help="A folder that medshot made."),
    format_: str = typer.Option("onnx", "--format", help="onnx: one file; bundle: for MONAI."),
    out: Path = out_option("The file to write (for a bundle, the folder); must not exist."),
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
    import medshot
    from medshot.app.parse import python
    from medshot.app.terminal import busy, tell

    with busy(f"exporting {model}"), medshot.limit_threads(threads):
        done = medshot.export(model, out, format_)
    tell(str(done))
    if format_ == "bundle":
        tell(
            f"Next: cd {quote(str(out))} && {python()} -m monai.bundle run --config_file "
            "configs/inference.json --meta_file configs/metadata.json --dataset_dir IMAGES"
        )
    elif done.script:
        tell(f"Next: {python()} {quote(str(done.script))} {quote(str(out))} IMAGES")
