"""A predictor as a bundle of MONAI: a folder that `python -m monai.bundle run` runs.

    OUT/configs/metadata.json     what the network takes and gives
    OUT/configs/inference.json    from images to answers.csv
    OUT/models/model.onnx         the graph
    OUT/scripts/network.py        the graph as a `torch.nn.Module`
    OUT/docs/README.md            the card

MONAI's own form of weights, model.pt, is a pickle, and model.ts holds one too: a program that runs
when it is loaded. Here a graph of ONNX stands in their place, entered by the `_target_` of
`network_def`, as MONAI has it for networks of one's own.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from medshot.core.atomic import refuse_taken
from medshot.core.errors import SaveError, TaskError
from medshot.core.predictor import Card, Predictor
from medshot.data.transforms import ImagePreprocessing
from medshot.export.answering import about, answering
from medshot.export.bundle_configs import inference, metadata

NETWORK = Path(__file__).with_name("bundle_network.py")  # copied, and never imported here


def export_bundle(predictor: Predictor, path: str | Path) -> Path:
    """Write `predictor` to the new folder `path`, as a bundle of MONAI; whole or not at all.

    Raises:
        ConfigError: the packages that this needs are not installed.
        SaveError: the folder is taken or cannot be written, or the predictor has no card.
        TaskError: it does what no graph holds, or does not answer for whole images in 2D.
    """
    path = Path(path).absolute()
    refuse_taken(path)
    card = predictor.known_card()
    form = card.preprocessing
    if card.task.on_grid or not isinstance(form, ImagePreprocessing):
        raise TaskError(
            f"A bundle is made of predictors that answer for whole images, not of {card.kind}. "
            "Export with format onnx: there is a graph for those too."
        )
    model = answering(predictor)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as place:
            made = Path(place) / path.name
            _write(made, card, form, model)
            made.replace(path)
    except OSError as error:
        raise SaveError(
            f"Could not write {path}: {error.strerror or error}. Free some space, or choose a "
            "place where you may write."
        ) from error
    return path


def _write(folder: Path, card: Card, form: ImagePreprocessing, model: Any) -> None:
    for name in ("configs", "models", "scripts", "docs"):
        (folder / name).mkdir(parents=True)
    configs = {"metadata": metadata(card, form), "inference": inference(form)}
    for name, config in configs.items():
        (folder / "configs" / f"{name}.json").write_text(json.dumps(config, indent=4) + "\n")
    (folder / "models" / "model.onnx").write_bytes(model.SerializeToString())
    shutil.copyfile(NETWORK, folder / "scripts" / "network.py")
    (folder / "scripts" / "__init__.py").write_text('"""Python of this bundle."""\n')
    said = "\n\n".join(f"**{key}**: {value}" for key, value in about(card).items())
    (folder / "docs" / "README.md").write_text(f"# {' / '.join(card.labels)}\n\n{said}\n")
