"""Saved encoders: weights, recipe and a card.

ENCODER/weights.safetensors   tensors
ENCODER/encoder.json          its recipe, how it was pretrained and on what, versions, SHA-256
ENCODER/README.md             a short card
"""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from medshot.core import ConfigError, SaveError, make, recipe, versions, write_folder
from medshot.core.model_card import RESEARCH_ONLY
from medshot.core.plugins import remembered, remembering
from medshot.nn.encoder import Encoder
from medshot.pretraining.weights.load import load_described
from medshot.training.run import is_run, load_run


def encoder_card(table: dict[str, Any]) -> str:
    """The README of a saved encoder, in Markdown."""
    about = table["about"]
    sets = [
        f"| {d['name']} | {d['count']} | {d['patients']} | {d['licence']} |"
        for d in about.get("data", [])
    ]
    rows = "\n".join(["| data | images | patients | licence |", "|---|---|---|---|", *sets])
    return f"""# A medshot encoder: {table["encoder"]["part"].partition("/")[2]}

{RESEARCH_ONLY}

Weights: {about.get("origin", "untrained")}.

{rows if sets else "The data are not recorded."}

Evaluate on data that the encoder was not trained on.

    medshot adapt MY_IMAGES --encoder THIS_FOLDER --out MODEL

Made on {table["created"]} with {", ".join(f"{k} {v}" for k, v in table["versions"].items())}.
"""


ABOUT, WEIGHTS = "encoder.json", "weights.safetensors"
FORMAT = 1


def save_encoder(encoder: Encoder, folder: str | Path) -> Path:
    """Write `encoder` atomically to a new folder.

    Raises:
        SaveError: the folder exists or cannot be written, or the encoder's class is not registered.
    """
    tensors = save({name: t.contiguous() for name, t in encoder.state_dict().items()})
    table = {
        "format": FORMAT,
        "encoder": recipe(encoder),
        "about": dict(encoder.about),
        "versions": versions(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": hashlib.sha256(tensors).hexdigest(),
        **remembered(),
    }
    return write_folder(Path(folder), tensors, {ABOUT: table}, encoder_card(table))


def is_encoder(folder: str | Path) -> bool:
    """Whether `folder` holds an encoder."""
    return (Path(folder) / ABOUT).is_file()


def load_encoder(place: str | Path, **options: Any) -> Encoder:
    """Load the encoder of a folder (a saved encoder or a meta-trained run), in eval mode.

    `place` may also be a file of weights that describes its network (see `load_described`); the
    options (channels, size, scaling) are for such a file only.

    Raises:
        SaveError: there is none, or a file is damaged or was changed.
        DataError: an unusable file of weights.
        ConfigError: options for a folder, whose encoder has its own.
    """
    folder = Path(place)
    if folder.is_file():
        return load_described(folder, **options)
    if options:
        raise ConfigError(
            f"The encoder in {folder} has its options: leave {', '.join(options)} out."
        )
    if is_run(folder):
        return _of_run(folder)
    table = _read(folder / ABOUT)
    try:
        with remembering(table, folder / ABOUT):
            found = make(table["encoder"])
        about = dict(table["about"])
        if not isinstance(found, Encoder):
            raise TypeError(f"{type(found).__name__} is no encoder")
    except SaveError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise SaveError(
            f"{folder / ABOUT} is not what was written ({type(error).__name__}: {error}). Copy the "
            "folder again, or pretrain again."
        ) from error
    _fill(found, folder / WEIGHTS, table.get("sha256"))
    found.about = about
    return found.eval()


def _of_run(folder: Path) -> Encoder:
    run = load_run(folder)
    found = run.learner.encoder
    if not isinstance(found, Encoder):
        raise SaveError(f"The learner of {folder} has no encoder to take. Name another run.")
    found.about = {"origin": run.learner.origin, "seen": run.about.get("seen", [])}
    return found.eval()


def _fill(encoder: Encoder, path: Path, sha256: str | None) -> None:
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise SaveError(
                f"{path} is not the file that was saved (its SHA-256 differs): truncated or "
                "changed. Copy the folder again."
            )
        encoder.load_state_dict(load(content), assign=True)
    except (RuntimeError, OSError, SafetensorError) as error:
        said = " ".join(str(error).split())[:300]
        raise SaveError(
            f"{path} cannot be used: it is missing, or of another architecture than {ABOUT} says "
            f"({said}). Copy the folder again."
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SaveError(
            f"{path} cannot be read ({error}). An encoder is a folder with {ABOUT} and {WEIGHTS}, "
            "as `medshot pretrain` writes it."
        ) from error
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise SaveError(f"{path} has another format than {FORMAT}: use a newer medshot.")
    return table
