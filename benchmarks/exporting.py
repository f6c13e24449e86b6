"""What a file is worth: answering one image on one thread, by ONNX Runtime and by PyTorch.

Conv4 at 64 pixels with a linear head, and a U-Net at 128 pixels that answers for every pixel, each
as a float graph and in int8. The peer is the predictor in PyTorch, in the same round. Made-up
images: neither time nor size depends on what is in them. Below, megabytes of each, and the peak
memory of a process that has answered one image and imported what it needs for that.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import torch

import medshot
from measure import Row, compare, difference, options, report, row
from medshot import Classification, Examples, Segmentation
from medshot.core.predictor import Predictor
from medshot.core.task import Card
from medshot.data.transforms import ImagePreprocessing
from medshot.nn.onnx import Graph, graph_of
from medshot.stages.compress.quantize import _quantized
from medshot.stages.export.onnx_file import SCRIPT

PEAK = "print(next(x for x in open('/proc/self/status') if 'VmHWM' in x).split()[1])"  # in kB
BY_TORCH = "import sys, medshot; medshot.load_predictor(sys.argv[1]).predict(sys.argv[2]); "
BY_FILE = (
    "import sys, runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__'); "
)


def main() -> None:
    found = options(__doc__, rounds=21)
    torch.set_num_threads(1)
    rows, notes = [], []
    for name, (predictor, support) in _predictors().items():
        one = support.x[:1]
        written = graph_of(predictor, support.x[:2])
        graphs = {"float": Graph.of(written)}
        # without the check of what it says: untrained as they are, answers do not matter here
        graphs["int8"] = Graph.of(_quantized(written, support.x))
        sides = {n: lambda p=p, x=one: p(x) for n, p in {"torch": predictor, **graphs}.items()}
        with torch.no_grad():
            seconds = compare(sides, found.rounds)
            rows += [_row(name, n, graphs[n](one), predictor(one), seconds) for n in graphs]
        sizes = {"torch": predictor, **graphs}
        notes.append(f"{name}: " + ", ".join(f"{n} {_size(p):.2f} MB" for n, p in sizes.items()))
    notes.append(_peaks(*_predictors()["conv4, 64 pixels"]))
    report(rows, found, "\n".join(notes))


def _row(name: str, kind: str, ours: torch.Tensor, peer: torch.Tensor, seconds: dict) -> Row:
    agreement = f"off by {difference([ours], [peer]):.1e} of the largest output"
    return row(f"{name}, {kind}", seconds[kind], seconds["torch"], agreement=agreement)


def _predictors() -> dict[str, tuple[Predictor, Examples]]:
    torch.manual_seed(0)
    conv4 = medshot.encoder("conv4", size=64)
    x, labels = torch.rand(16, 3, 64, 64), torch.arange(16) % 4
    few = Examples(x, labels)
    answers = medshot.build("linear-probe", encoder=conv4).adapt(few, Classification(4)).freeze()
    form = ImagePreprocessing(3, 64)
    answers.with_card(Card(Classification(4), tuple("abcd"), form, {"name": "made up"}))
    wide = torch.rand(8, 3, 128, 128)
    masks = Examples(wide, (wide[:, 0] > 0.5).long())
    unet = medshot.build("linear-probe", encoder=medshot.encoder("unet"))
    painted = unet.adapt(masks, Segmentation(2)).freeze()
    return {"conv4, 64 pixels": (answers, few), "U-Net, 128 pixels": (painted, masks)}


def _size(predictor: Predictor) -> float:
    return sum(tensor.nbytes for tensor in predictor.state_dict().values()) / 1e6


def _peaks(predictor: Predictor, support: Examples) -> str:
    """Megabytes of two processes that answer for one picture: medshot, and the script alone."""
    from PIL import Image  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as place:
        model, picture, file = (Path(place) / name for name in ("model", "a.png", "a.onnx"))
        Image.fromarray((255 * support.x[0].movedim(0, -1)).byte().numpy()).save(picture)
        predictor.save(model)
        medshot.export_onnx(predictor, file)
        whole = _printed(BY_TORCH + PEAK, model, picture)
        alone = _printed(BY_FILE + PEAK, SCRIPT, file, picture)
    return f"peak memory, one image: medshot {whole:.0f} MB, the file alone {alone:.0f} MB"


def _printed(code: str, *arguments: Path) -> float:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1]) / 1024


if __name__ == "__main__":
    main()
