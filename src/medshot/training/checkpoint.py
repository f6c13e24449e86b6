"""The whole state of a run in one safetensors file, replaced whole: no pickle, no half file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from medshot.core.errors import SaveError
from medshot.core.files import replacing

if TYPE_CHECKING:
    from medshot.training.run import Run

FILE = "checkpoint.safetensors"


@dataclass
class Checkpoint:
    """Where a run stands: steps done, and the best meta-validation so far."""

    step: int = 0
    best: float = float("inf")
    best_step: int = 0
    worse: int = 0  # validations since the best
    weights: dict[str, Tensor] = field(default_factory=dict)  # the best ones

    @classmethod
    def resume(
        cls, folder: Path | None, learner: nn.Module, optimizer: torch.optim.Optimizer
    ) -> "Checkpoint":
        """The state saved in `folder`, put into `learner`, `optimizer` and torch; else a new one.

        Raises:
            SaveError: the file is damaged.
        """
        if folder is None or not (folder / FILE).exists():
            return cls()
        tensors, meta = _read(folder / FILE)
        learner.load_state_dict(_under("learner.", tensors))
        optimizer.load_state_dict(_optimizer_state(optimizer, _under("optimizer.", tensors)))
        torch.set_rng_state(tensors["random"])
        if "random.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.cuda"])
        best = float("inf") if meta["best"] is None else meta["best"]
        return cls(meta["step"], best, meta["best_step"], meta["worse"], _under("best.", tensors))

    def note(self, validation: float, learner: nn.Module) -> None:
        """Take a meta-validation loss into account; keep the weights if it is the best."""
        self.worse += 1
        if validation < self.best:
            self.best, self.best_step, self.worse = validation, self.step, 0
            self.weights = {n: t.detach().clone() for n, t in learner.state_dict().items()}

    def exhausted(self, patience: int | None) -> bool:
        """Whether the last `patience` validations brought nothing better."""
        return patience is not None and self.worse >= patience

    def restore_best(self, learner: nn.Module) -> None:
        """Put the best weights into `learner`."""
        if self.weights:
            learner.load_state_dict(self.weights)

    def save(self, run: "Run", learner: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write everything to the run's folder, if it has one.

        Raises:
            SaveError: the disk is full, ...; the checkpoint before is still there, whole.
        """
        if run.folder is None:
            return
        tensors = {f"learner.{n}": t for n, t in learner.state_dict().items()}
        tensors |= {f"best.{n}": t for n, t in self.weights.items()}
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{n}": t for n, t in state.items()}
        tensors["random"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        best = None if self.best == float("inf") else self.best
        meta = {"step": self.step, "best": best, "best_step": self.best_step, "worse": self.worse}
        meta["history"] = run.history
        content = save(
            {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()},
            {"medshot": json.dumps(meta)},
        )
        with replacing(run.folder / FILE) as temporary:
            temporary.write_bytes(content)


def read_history(folder: Path) -> list[dict[str, int | float]]:
    """The validations of the run in `folder`, as of its last checkpoint."""
    return _read(folder / FILE)[1]["history"] if (folder / FILE).exists() else []


def read_best(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The best weights of the run in `folder` (or, before any validation, the newest)."""
    tensors, meta = _read(folder / FILE)
    return _under("best.", tensors) or _under("learner.", tensors), meta


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as file:
            meta = json.loads((file.metadata() or {})["medshot"])
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise SaveError(
            f"{path} cannot be read ({error}): it is damaged or not a checkpoint. Remove it to "
            "begin again, or put back a copy."
        ) from error


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _optimizer_state(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        i, _, key = name.partition(".")
        state.setdefault(int(i), {})[key] = tensor
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
