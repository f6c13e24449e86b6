"""Export a predictor as a MONAI bundle: a folder for `python -m monai.bundle run`.

    OUT/configs/metadata.json     inputs and outputs of the network
    OUT/configs/inference.json    from images to answers.csv
    OUT/models/model.onnx         the graph
    OUT/scripts/network.py        the graph as a `torch.nn.Module`
    OUT/docs/README.md            the card

MONAI's own formats of weights, model.pt and model.ts, contain pickles, which can run code when
they are loaded. Here an ONNX graph replaces them, referenced by the `_target_` of `network_def`,
MONAI's mechanism for custom networks.
"""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from medshot.core import Card, Predictor, SaveError, TaskError
from medshot.core.atomic import refuse_taken
from medshot.core.model_card import RESEARCH_ONLY
from medshot.data.transforms import ImagePreprocessing
from medshot.stages.export.graph import answering, onnx_metadata
from medshot.stages.export.standalone import standalone

NEEDED = ("onnxruntime", "pytorch-ignite")


def metadata(card: Card, form: ImagePreprocessing) -> dict[str, Any]:
    """Inputs and outputs of the network, and software versions."""
    labels = {str(i): label for i, label in enumerate(card.labels)}
    packages = {"monai": "monai_version", "torch": "pytorch_version", "numpy": "numpy_version"}
    return {
        "version": "0.1.0",
        "changelog": {"0.1.0": "exported by medshot"},
        **{key: version(name).partition("+")[0] for name, key in packages.items()},
        "required_packages_version": {name: version(name) for name in NEEDED},
        "task": card.kind,
        "description": f"{RESEARCH_ONLY} {card.task.caution}",
        "authors": "the owners of the data",
        "copyright": f"licence of the data: {card.data.get('licence', 'not stated')}",
        "network_data_format": {
            "inputs": {"image": _image(form)},
            "outputs": {
                "pred": {
                    "type": "probabilities" if card.task.logits else "numbers",
                    "format": card.kind,
                    "num_channels": len(card.labels),
                    "spatial_shape": [],
                    "dtype": "float32",
                    "value_range": [0, 1] if card.task.logits else [],
                    "is_patch_data": False,
                    "channel_def": labels,
                }
            },
        },
    }


def inference(form: ImagePreprocessing) -> dict[str, Any]:
    """Inference config: from images in `dataset_dir` to `output_dir`/answers.csv, by MONAI.

    Files are read and resized as in training: MONAI's own reading and resizing give other values.
    """
    channel = "no_channel" if form.channels == 1 else -1
    fit = {"channels": form.channels, "side": form.size, "resize": form.resize}
    reader = {
        "_target_": "monai.data.PILReader",
        "converter": {"_target_": "scripts.network.fit", "_mode_": "callable", **fit},
        "reverse_indexing": False,
    }
    load = {"_target_": "LoadImaged", "keys": "image", "reader": reader}
    first = {"_target_": "EnsureChannelFirstd", "keys": "image", "channel_dim": channel}
    unit = {"a_min": 0, "a_max": 255, "b_min": 0, "b_max": 1}
    return {
        "imports": ["$import glob", "$import monai"],
        "bundle_root": ".",
        "dataset_dir": "images",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cpu')",
        "network_def": {
            "_target_": "scripts.network.OnnxNetwork",
            "path": "$@bundle_root + '/models/model.onnx'",
        },
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                load,
                first,
                {"_target_": "ScaleIntensityRanged", "keys": "image", **unit},
            ],
        },
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': f} for f in sorted(glob.glob(@dataset_dir + '/*'))]",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1},
        "inferer": {"_target_": "SimpleInferer"},
        "handlers": [
            {
                "_target_": "ClassificationSaver",
                "output_dir": "@output_dir",
                "filename": "answers.csv",
                "batch_transform": "$lambda batch: [x['image'].meta for x in batch]",
                "output_transform": "$monai.handlers.from_engine('pred')",
            }
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network_def",
            "inferer": "@inferer",
            "val_handlers": "@handlers",
        },
        "run": ["$@evaluator.run()"],
    }


def _image(form: ImagePreprocessing) -> dict[str, Any]:
    return {
        "type": "image",
        "format": "magnitude",
        "num_channels": form.channels,
        "spatial_shape": [form.size, form.size],
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": False,
        "channel_def": {"0": "grey"}
        if form.channels == 1
        else dict(zip("012", "RGB", strict=True)),
    }


NETWORK = Path(__file__).with_name("bundle_network.py")  # never imported here


def export_bundle(predictor: Predictor, path: str | Path) -> Path:
    """Write `predictor` atomically to the new folder `path`, as a MONAI bundle.

    Raises:
        ConfigError: a required package is not installed.
        SaveError: the folder exists or cannot be written, or the predictor has no card.
        TaskError: it cannot be exported, or its task is not image-level in 2D.
    """
    path = Path(path).absolute()
    refuse_taken(path)
    card = predictor.known_card()
    form = card.preprocessing
    if card.task.on_grid or not isinstance(form, ImagePreprocessing):
        raise TaskError(
            f"A bundle is for predictors with image-level outputs, not for {card.kind}. Export "
            "with format onnx instead."
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
    (folder / "scripts" / "network.py").write_text(standalone(NETWORK))
    (folder / "scripts" / "__init__.py").write_text('"""Python of this bundle."""\n')
    said = "\n\n".join(f"**{key}**: {value}" for key, value in onnx_metadata(card).items())
    (folder / "docs" / "README.md").write_text(f"# {' / '.join(card.labels)}\n\n{said}\n")
