"""Checkpoint of a run: one safetensors file, replaced atomically, without pickle."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from medshot.core import SaveError
from medshot.core.atomic import replacing
from medshot.training.progress import Row

FILE = "checkpoint.safetensors"
FORMAT = 1


@dataclass
class Checkpoint:
    """State of a run: completed steps, validation history, best weights."""

    step: int = 0
    best: float = float("inf")
    best_step: int = 0
    worse: int = 0  # validations since the best
    history: list[Row] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)  # the best ones

    @classmethod
    def resume(
        cls, folder: Path | None, learner: nn.Module, optimizer: torch.optim.Optimizer
    ) -> "Checkpoint":
        """Restore `learner`, `optimizer` and the random state from `folder`; else a new state.

        Raises:
            SaveError: the file is damaged, or from a newer medshot.
        """
        if folder is None or not (folder / FILE).exists():
            return cls()
        tensors, meta = _read(folder / FILE)
        try:
            learner.load_state_dict(_under("learner.", tensors))
            optimizer.load_state_dict(_optimizer_state(optimizer, _under("optimizer.", tensors)))
            torch.set_rng_state(tensors["random"])
            if "random.cuda" in tensors and _device(learner).type == "cuda":
                torch.cuda.set_rng_state(tensors["random.cuda"], _device(learner))
            return cls(**_state(meta), weights=_under("best.", tensors))
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            raise _damaged(folder / FILE, error) from error

    def note(self, row: Row, learner: nn.Module) -> None:
        """Record a validation; keep the weights if it is the best."""
        self.history.append(row)
        self.worse += 1
        if row["val_loss"] < self.best:
            self.best, self.best_step, self.worse = float(row["val_loss"]), self.step, 0
            self.weights = {n: t.detach().clone() for n, t in learner.state_dict().items()}

    def exhausted(self, patience: int | None) -> bool:
        """Whether the last `patience` validations brought no improvement."""
        return patience is not None and self.worse >= patience

    def restore_best(self, learner: nn.Module) -> None:
        """Put the best weights into `learner`."""
        if self.weights:
            learner.load_state_dict(self.weights)

    def save(
        self, folder: Path | None, learner: nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        """Write the checkpoint to `folder`; nothing if it is None.

        Raises:
            SaveError: the disk is full, ...; the previous checkpoint stays intact.
        """
        if folder is None:
            return
        tensors = {f"learner.{n}": t for n, t in learner.state_dict().items()}
        tensors |= {f"best.{n}": t for n, t in self.weights.items()}
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{n}": t for n, t in state.items()}
        tensors["random"] = torch.get_rng_state()
        if _device(learner).type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(_device(learner))
        best = None if self.best == float("inf") else self.best  # JSON has no infinity
        meta = {"format": FORMAT, "step": self.step, "best": best, "best_step": self.best_step}
        meta |= {"worse": self.worse, "history": self.history}
        content = save(
            {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()},
            {"medshot": json.dumps(meta)},
        )
        with replacing(folder / FILE) as temporary:
            temporary.write_bytes(content)


def read_best(folder: Path) -> Checkpoint:
    """State of the run in `folder` with its best weights (before any validation, the latest).

    Raises:
        SaveError: the file is damaged, or from a newer medshot.
    """
    tensors, meta = _read(folder / FILE)
    weights = _under("best.", tensors) or _under("learner.", tensors)
    try:
        return Checkpoint(**_state(meta), weights=weights)
    except (KeyError, TypeError) as error:
        raise _damaged(folder / FILE, error) from error


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as file:
            meta = json.loads((file.metadata() or {})["medshot"])
            # Cloned: otherwise they would be views of the file, which will be replaced.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise _damaged(path, error) from error
    if meta.get("format", 1) != FORMAT:
        raise SaveError(
            f"{path} has format {meta['format']}, and this medshot reads {FORMAT}: use a newer one."
        )
    return tensors, meta


def _state(meta: dict[str, Any]) -> dict[str, Any]:
    best = float("inf") if meta["best"] is None else meta["best"]
    return {k: meta[k] for k in ("step", "best_step", "worse", "history")} | {"best": best}


def _damaged(path: Path, error: Exception) -> SaveError:
    return SaveError(
        f"{path} cannot be read ({error}): it is damaged or not a checkpoint. Remove it to "
        "start again, or restore a copy."
    )


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _optimizer_state(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> dict[str, Any]:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        i, _, key = name.partition(".")
        like = parameters[int(i)]
        if tensor.shape == like.shape:  # moments have the memory format of their parameter
            tensor = torch.empty_like(like, dtype=tensor.dtype).copy_(tensor)  # noqa: PLW2901
        state.setdefault(int(i), {})[key] = tensor
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}


def _device(learner: nn.Module) -> torch.device:
    return next(learner.parameters()).device
