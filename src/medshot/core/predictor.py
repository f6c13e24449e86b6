"""Predictor: maps images to outputs. All stages after `adapt` take one, most return one.

It is a plain `nn.Module` that does not depend on how it was learned. Adapted tensors are
registered as buffers, so `.to(device)` and `state_dict()` work. Large volumes are predicted by
sliding windows. Saved, it is a folder that needs only medshot to be used again:

    MODEL/weights.safetensors    tensors
    MODEL/predictor.json         parts, labels, preprocessing, learner, data hash, versions
    MODEL/README.md              a short model card

There is no pickle: loading runs only medshot's code. A loaded predictor reproduces the outputs
of the saved one.
"""

import copy
import hashlib
import itertools
import json
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from medshot.core.atomic import refuse_taken, write_text
from medshot.core.errors import SaveError, TaskError
from medshot.core.model_card import model_card
from medshot.core.plugins import own_version, remembered, remembering
from medshot.core.prediction import FolderPredictions, predictions_for, writer
from medshot.core.registry import make, recipe
from medshot.core.task import Card, Preprocessing, task_of

SIDE = 96  # side of a window in voxels
OVERLAP = 0.25  # fraction of a window shared with the next


def sliding_window(
    predict: Callable[[Tensor], Tensor], x: Float[Tensor, "n c z h w"], side: int = SIDE
) -> Float[Tensor, "n k z h w"]:
    """Apply `predict` to `x`, in overlapping windows of `side` voxels if `x` is larger.

    Overlapping outputs are averaged, with larger weights near the center of a window, where there
    is more context.
    """
    sides = tuple(x.shape[2:])
    if max(sides) <= side:
        return predict(x)
    total = weights = torch.zeros(())
    for place in _places(sides, side):
        found = predict(x[(..., *place)])
        weight = _middle(found.shape[2:]).to(found)
        if total.ndim == 0:
            total, weights = found.new_zeros(*found.shape[:2], *sides), found.new_zeros(sides)
        total[(..., *place)] += weight * found
        weights[place] += weight
    return total / weights


def _places(sides: tuple[int, ...], side: int) -> Iterator[tuple[slice, ...]]:
    step = round(side * (1 - OVERLAP))
    starts = [sorted({min(start, max(0, n - side)) for start in range(0, n, step)}) for n in sides]
    for corner in itertools.product(*starts):
        yield tuple(slice(at, min(at + side, n)) for at, n in zip(corner, sides, strict=True))


def _middle(sides: torch.Size) -> Tensor:
    """Weights that decrease toward the border, without reaching 0."""
    falls = [torch.minimum(torch.arange(n) + 1, n - torch.arange(n)) / n for n in sides]
    z, h, w = falls
    return z[:, None, None] * h[:, None] * w


VOLUMES = 5  # dimensions of a batch of volumes: n c z h w
SITES = 2**16  # pixels per batch: four images of 128 x 128 took half the time of 25


class Predictor(nn.Module):
    """Maps images `n c *s` in [0, 1] to outputs `n k ...`.

    Returned by `adapt`, it may share weights with its learner and hold a graph; `freeze` makes it
    independent. `predict` and `save` need a card, which adapting to a loaded folder provides.
    """

    card: Card | None = None
    transductive = False  # True: a prediction depends on the other images in the batch
    exportable = True  # False: it cannot be expressed as a graph of tensor operations
    whole: ClassVar[bool] = False  # True: it bounds its memory itself, large volumes are not cut
    differentiable: ClassVar[bool] = True  # False: no gradients, no trainable parameters

    def freeze(self) -> "Predictor":
        """An independent copy: no graph, no tensors shared with the learner, eval mode.

        Tensors have the memory layout of saved files, so that a loaded copy sums in the same order.
        """
        plain = torch.contiguous_format
        detached: dict[int, Any] = {
            id(b): b.detach().clone(memory_format=plain) for b in self.buffers()
        }
        frozen = copy.deepcopy(self, detached)
        frozen.to(memory_format=plain)  # type: ignore[call-overload]
        return frozen.eval().requires_grad_(False)

    def with_card(self, card: Card) -> "Predictor":
        """Attach `card` and return self."""
        self.card = card
        return self

    @torch.no_grad()
    def predict(self, images: str | Path | Iterable[str | Path]) -> Any:
        """A prediction of the task's type for one path, or a list of them for several.

        Raises:
            DataError: a file cannot be read as an image.
            SaveError: the predictor has no card, so labels and preprocessing are unknown.
        """
        if not isinstance(images, str | Path):
            return [self.predict(path) for path in images]
        card = self.known_card()
        x = card.preprocessing.read(Path(images)).to(any_tensor(self))
        with eval_mode(self):
            return card.task.to_prediction(
                card.task.predict_one(self.predict_batches, x), Path(images), card
            )

    def predict_folder(self, images: str | Path | Iterable[str | Path]) -> FolderPredictions:
        """Predictions for a folder of images, or several folders and files.

        `predict_folder(images).save(out)` writes the output of `medshot predict`; iteration yields
        the predictions one by one.

        Raises:
            DataError: a path that does not exist, or a folder without images.
            SaveError: the predictor has no card.
        """
        return predictions_for(self, images)

    @property
    def default_output(self) -> str:
        """Default name of the file or folder that `medshot predict` writes: answers.csv."""
        return writer(self.known_card().kind).out

    def predict_batches(self, x: Float[Tensor, "n c *s"]) -> Tensor:
        """`self(x)` in small batches, which fit the CPU cache and are faster.

        Volumes are processed one by one, and large ones in sliding windows, to bound memory, unless
        the predictor needs the `whole`.
        """
        if self.transductive or len(x) == 0:
            return self(x)
        if x.ndim < VOLUMES:
            few = max(1, SITES // x[0, 0].numel())
            return torch.cat([self(part) for part in x.split(few)])
        if self.whole:
            return torch.cat([self(volume[None]) for volume in x])
        return torch.cat([sliding_window(self, volume[None]) for volume in x])

    def save(self, folder: str | Path) -> Path:
        """Write the frozen predictor to a new folder. See `medshot.core.predictor`."""

        return save_predictor(self, Path(folder))

    def known_card(self) -> Card:
        """Return the card, or raise `SaveError` with how to get one."""
        if self.card is None:
            raise SaveError(
                "This predictor knows neither its labels nor its preprocessing. Adapt to a "
                "loaded folder, `learner.adapt(medshot.load(...))`, or give it a `Card`."
            )
        return self.card


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Put `module` in eval mode; restores every submodule's training flag on exit."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def any_tensor(module: nn.Module) -> Tensor:
    """A floating-point tensor of `module`, for its device and dtype."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor
    return torch.zeros(())


def unfreeze_copy(predictor: Predictor) -> Predictor:
    """An independent copy in which all weights, of encoder and head, are parameters.

    Fitted tensors of a head are buffers, which optimizers ignore; here they become parameters of
    the same names. The encoder's own buffers (running statistics, fixed filters) are unchanged.
    `freeze_copy` reverses this.

    Raises:
        TaskError: the predictor, or one inside it, is not differentiable.
    """
    if not all(part.differentiable for part in _predictors(predictor)):
        raise TaskError(
            "This model cannot be trained: a quantized model has no gradient. Apply this stage "
            "to the model before quantization, and quantize last."
        )
    copied = predictor.freeze().requires_grad_(True)
    for part in _predictors(copied):
        for name, tensor in list(part.named_buffers(recurse=False)):
            if tensor.is_floating_point():
                delattr(part, name)
                part.register_parameter(name, nn.Parameter(tensor))
    copied.card = predictor.card
    return copied


def freeze_copy(changed: Predictor) -> Predictor:
    """Frozen copy of a predictor made by `trainable`, ready to be saved."""
    copied = changed.freeze()
    for part in _predictors(copied):
        for name, tensor in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, tensor.detach())
    copied.card = changed.card
    return copied


def _predictors(module: Predictor) -> list[Predictor]:
    """The predictor and those inside it, such as an ensemble's members."""
    return [part for part in module.modules() if isinstance(part, Predictor)]


FORMAT = 1


def save_predictor(predictor: Predictor, folder: Path) -> Path:
    """Write `predictor` atomically to `folder`, which must be absent or empty.

    Raises:
        SaveError: the folder is taken or cannot be written, or the predictor is transductive,
            has no card, or has a part that is not registered.
    """
    card = predictor.known_card()
    if predictor.transductive:
        raise SaveError(
            "This predictor is transductive: its output for an image depends on the other images "
            "of the batch. Use norm='group' or norm='batch' in the encoder, and a learner that "
            "`medshot learners` does not call transductive."
        )
    frozen = predictor.freeze()
    tensors = save({n: t.contiguous() for n, t in frozen.state_dict().items()})
    about = _about(frozen, card, hashlib.sha256(tensors).hexdigest())
    return write_folder(folder, tensors, {"predictor.json": about}, model_card(about))


def write_folder(folder: Path, tensors: bytes, tables: dict[str, Any], readme: str) -> Path:
    """Write weights.safetensors, JSON files and README.md to `folder` atomically.

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
    """Load the predictor that was saved in `folder`.

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
                "differs): truncated or modified. Copy the folder again."
            )
        predictor.load_state_dict(load(tensors), assign=True)  # in the saved dtype
    except (RuntimeError, OSError, SafetensorError) as error:
        raise SaveError(
            f"{folder / 'weights.safetensors'} cannot be used ({error}). Copy the folder again, or "
            "adapt again."
        ) from error
    return predictor.eval().requires_grad_(False).with_card(card)


def versions() -> dict[str, str]:
    """Versions that a result depends on: medshot, PyTorch, Python."""
    return {
        "medshot": own_version(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _made(about: dict[str, Any], path: Path) -> tuple[Predictor, Card]:
    try:
        with remembering(about, path):
            predictor, preprocessing = make(about["predictor"]), make(about["preprocessing"])
            task = task_of(**about["task"])
        stages = tuple(about.get("stages", ()))  # older files have no stages
        known = (about["data"], about["learner"], stages)
        card = Card(task, tuple(about["labels"]), preprocessing, *known)
        if not isinstance(predictor, Predictor) or not isinstance(preprocessing, Preprocessing):
            raise TypeError("a part has the wrong type")
    except SaveError:
        raise
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
        **remembered(),
    }


def _staging(folder: Path) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise SaveError(
            f"Could not write next to {folder}: {error.strerror}. Choose a place where you may "
            "write."
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise SaveError(f"There is no folder {path.parent}. Name one that `medshot adapt` made.")
    if not path.exists():
        raise SaveError(
            f"{path.parent} is a folder without {path.name}, so no predictor: name one that "
            "`medshot adapt` wrote, followed by the images."
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
