"""A predictor on disk: a folder that needs nothing but medshot to be used again.

    MODEL/weights.safetensors    tensors
    MODEL/predictor.json         parts, labels, preprocessing, learner, data hash, versions
    MODEL/README.md              a short model card

No pickle, so loading runs no code but ours. A loaded predictor gives the numbers of the saved.
"""

import hashlib
import json
import platform
import shutil
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from medshot.core.atomic import refuse_taken, write_text
from medshot.core.errors import SaveError
from medshot.core.model_card import model_card
from medshot.core.predictor import Card, Predictor, Preprocessing
from medshot.core.registry import make, recipe
from medshot.core.task import task_of

FORMAT = 1


def save_predictor(predictor: Predictor, folder: Path) -> Path:
    """Write `predictor` to `folder`, which must not exist or be empty; whole or not at all.

    Raises:
        SaveError: the folder is taken or cannot be written, or the predictor is transductive,
            has no card, or has a part that is not registered.
    """
    card = predictor.known_card()
    if predictor.transductive:
        raise SaveError(
            "This predictor is transductive: it reads the images of a batch together, so one image "
            "alone gets another answer. Use norm='group' or norm='batch' in the encoder, and a "
            "learner that `medshot learners` does not call transductive."
        )
    frozen = predictor.freeze()
    tensors = save({n: t.contiguous() for n, t in frozen.state_dict().items()})
    about = _about(frozen, card, hashlib.sha256(tensors).hexdigest())
    return write_folder(folder, tensors, {"predictor.json": about}, model_card(about))


def write_folder(folder: Path, tensors: bytes, tables: dict[str, Any], readme: str) -> Path:
    """Make `folder` of weights.safetensors, JSON files and README.md, whole or not at all.

    Raises:
        SaveError: the folder is taken or cannot be written.
    """
    folder = folder.absolute()
    refuse_taken(folder)
    staging = _staging(folder)
    try:
        (staging / "weights.safetensors").write_bytes(tensors)
        for name, table in tables.items():
            write_text(staging / name, json.dumps(table, indent=2) + "\n")
        write_text(staging / "README.md", readme)
        staging.chmod(0o755)
        staging.replace(folder)
    except OSError as error:
        raise SaveError(f"Could not write {folder}: {error.strerror}. Free some space.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def load_predictor(folder: str | Path) -> Predictor:
    """The predictor that was saved in `folder`.

    Raises:
        SaveError: there is none, a file is damaged, or a part is unknown.
    """
    folder = Path(folder)
    about = _read_json(folder / "predictor.json")
    predictor, card = _made(about, folder / "predictor.json")
    try:
        tensors = (folder / "weights.safetensors").read_bytes()
        if hashlib.sha256(tensors).hexdigest() != about.get("sha256"):
            raise SaveError(
                f"{folder / 'weights.safetensors'} is not the file that was saved (its SHA-256 "
                "differs): truncated or changed. Copy the folder again."
            )
        predictor.load_state_dict(load(tensors), assign=True)  # in the type that was saved
    except (RuntimeError, OSError, SafetensorError) as error:
        raise SaveError(
            f"{folder / 'weights.safetensors'} cannot be used ({error}). Copy the folder again, or "
            "adapt again."
        ) from error
    return predictor.eval().requires_grad_(False).with_card(card)


def versions() -> dict[str, str]:
    """What a result depends on: medshot, PyTorch, Python."""
    return {
        "medshot": version("medshot"),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _made(about: dict[str, Any], path: Path) -> tuple[Predictor, Card]:
    try:
        predictor, preprocessing = make(about["predictor"]), make(about["preprocessing"])
        task = task_of(**about["task"])
        stages = tuple(about.get("stages", ()))  # files of before there were stages have none
        known = (about["data"], about["learner"], stages)
        card = Card(task, tuple(about["labels"]), preprocessing, *known)
        if not isinstance(predictor, Predictor) or not isinstance(preprocessing, Preprocessing):
            raise TypeError("a part of another kind stands where it should not")
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SaveError(
            f"{path} is not what was written ({type(error).__name__}: {error}). Copy the folder "
            "again, or adapt again."
        ) from error
    return predictor, card


def _about(frozen: Predictor, card: Card, sha256: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "predictor": recipe(frozen),
        "task": {"kind": card.task.kind, **asdict(card.task)},
        "labels": list(card.labels),
        "preprocessing": recipe(card.preprocessing),
        "learner": card.learner,
        "data": card.data,
        "stages": list(card.stages),
        "versions": versions(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": sha256,
    }


def _staging(folder: Path) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise SaveError(
            f"Could not write beside {folder}: {error.strerror}. Choose a place where you may "
            "write."
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise SaveError(f"There is no folder {path.parent}. Name one that `medshot adapt` made.")
    if not path.exists():
        raise SaveError(
            f"{path.parent} is a folder without {path.name}, so no predictor: name one that "
            "`medshot adapt` wrote, and the images after it."
        )
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SaveError(
            f"{path} cannot be read ({error}). A predictor is a folder with predictor.json and "
            "weights.safetensors, as `medshot adapt` writes it."
        ) from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise SaveError(f"{path} has another format than {FORMAT}: use a newer medshot.")
    return about
