"""What scripts of users hold: no name, no default of an option may change unseen."""

import inspect
from typing import Any

import typer

from medshot.api.episodes import planned
from medshot.app.cli import app
from medshot.stages.robustness.harden import harden
from medshot.stages.robustness.threat_model import read_epsilon
from medshot.training.train import train

REQUIRED = "required"
FROZEN: dict[str, dict[str, Any]] = {
    "adapt": {
        "folder": REQUIRED,
        "--out": REQUIRED,
        "--learner": "auto",
        "--task": None,
        "--encoder": None,
        "--finetune": "none",
        "--set": [],
        "--modalities": None,
        "--ignore-value": None,
        "--point-size": None,
        "--budget": None,
        "--skip-bad": False,
        "--threads": 1,
    },
    "predict": {
        "model": REQUIRED,
        "images": REQUIRED,
        "--out": REQUIRED,
        "--labelme": False,
        "--skip-bad": False,
        "--threads": 1,
    },
    "evaluate": {
        "what": REQUIRED,
        "--protocol": None,
        "--data": [],
        "--task": None,
        "--json": None,
        "--report": None,
        "--encoder": None,
        "--set": [],
        "--way": None,
        "--shot": None,  # shown as 5, 10 and 600: those of `episodes.planned`
        "--query": None,
        "--episodes": None,
        "--seed": 0,
        "--skip-bad": False,
        "--threads": 1,
    },
    "pretrain": {
        "--data": REQUIRED,
        "--out": REQUIRED,
        "--objective": "reconstruct",
        "--encoder": "conv4",
        "--set": [],
        "--task": None,
        "--steps": 1000,
        "--batch": 64,
        "--lr": 1e-3,
        "--judge-every": 100,
        "--patience": None,
        "--seed": 0,
        "--device": "auto",
        "--json": None,
        "--threads": 1,
    },
    "export": {"model": REQUIRED, "--format": "onnx", "--out": REQUIRED, "--threads": 1},
    "train": {
        "learner": REQUIRED,
        "--data": REQUIRED,
        "--out": REQUIRED,
        "--task": None,
        "--encoder": None,
        "--set": [],
        "--way": 5,
        "--shot": 5,
        "--query": 5,
        "--steps": 1000,
        "--meta-batch": 1,
        "--lr": 1e-3,
        "--halve-every": None,
        "--val-every": 100,
        "--val-episodes": 50,
        "--patience": None,
        "--seed": 0,
        "--device": "auto",
        "--workers": 1,
        "--vectorise": None,
        "--contrast": None,
        "--teacher": None,
        "--adversarial": None,
        "--bf16": False,
        "--channels-last": False,
        "--skip-bad": False,
        "--threads": 1,
    },
    "compress": {
        "model": REQUIRED,
        "--data": REQUIRED,
        "--out": REQUIRED,
        "--prune": None,
        "--distil": None,
        "--quantise": None,
        "--set": [],
        "--steps": None,
        "--lr": 1e-3,
        "--seed": 0,
        "--test": None,
        "--json": None,
        "--threads": 1,
    },
    "attack": {
        "model": REQUIRED,
        "--data": REQUIRED,
        "--epsilon": [],
        "--norm": "linf",
        "--steps": 10,
        "--queries": 200,
        "--corruptions": False,
        "--seed": 0,
        "--plot": None,
        "--json": None,
        "--threads": 1,
    },
    "harden": {
        "model": REQUIRED,
        "--data": REQUIRED,
        "--out": REQUIRED,
        "--attack": "pgd",
        "--epsilon": "4/255",
        "--norm": "linf",
        "--attack-steps": 7,
        "--share": 0.5,
        "--steps": 300,
        "--lr": 1e-3,
        "--batch": 16,
        "--seed": 0,
        "--test": None,
        "--json": None,
        "--threads": 1,
    },
    "finetune": {
        "model": REQUIRED,
        "--data": REQUIRED,
        "--out": REQUIRED,
        "--what": None,  # shown as lora; head, where nothing else can move,
        "--test": None,
        "--unseen": False,
        "--steps": 50,
        "--lr": 1e-3,
        "--pull": 1.0,
        "--batch": 32,
        "--set": [],
        "--json": None,
        "--threads": 1,
    },
    "fuse": {
        "model": REQUIRED,
        "--data": REQUIRED,
        "--out": REQUIRED,
        "--how": "weighted",
        "--test": None,
        "--cycles": None,  # shown as 4, 100 and 0.001: those of `fusion.snapshots`
        "--steps": None,
        "--lr": None,
        "--json": None,
        "--threads": 1,
    },
    "learners": {"task": None, "--options": False},
    "select": {
        "folder": REQUIRED,
        "--out": REQUIRED,
        "--budget": "10m",
        "--trials": None,
        "--learner": [],
        "--task": None,
        "--storage": None,
        "--seed": 0,
        "--json": None,
        "--skip-bad": False,
        "--threads": 1,
    },
    "cite": {"what": REQUIRED},
    "demo": {"--out": "demo", "--threads": 1},
    "data check": {
        "folder": REQUIRED,
        "--task": None,
        "--ignore-value": None,
        "--skip-bad": False,
    },
}
NOT_TYPED = {"learner", "data", "val", "out", "watch", "checkpoint_seconds", "terms"}


def test_no_option_changes_unseen() -> None:
    assert _options(typer.main.get_command(app)) == FROZEN


def test_train_has_the_defaults_of_the_function_that_it_calls() -> None:
    ours = {k.lstrip("-").replace("-", "_"): v for k, v in FROZEN["train"].items()}
    theirs = {
        name: p.default
        for name, p in inspect.signature(train).parameters.items()
        if name not in NOT_TYPED
    }
    assert {name: ours[name] for name in theirs} == theirs


def test_harden_has_the_defaults_of_the_function_that_it_calls() -> None:
    theirs = {name: p.default for name, p in inspect.signature(harden).parameters.items()}
    for name, value in FROZEN["harden"].items():
        own = name.lstrip("-").replace("-", "_")
        if own in theirs and value != REQUIRED:
            assert theirs[own] == (read_epsilon(value) if own == "epsilon" else value)


def test_evaluate_shows_the_defaults_of_the_function_that_it_calls() -> None:
    theirs = {name: p.default for name, p in inspect.signature(planned).parameters.items()}
    shown = {
        p.name: p.show_default for p in typer.main.get_command(app).commands["evaluate"].params
    }
    for name in ("shot", "query", "episodes"):
        assert shown[name] == str(theirs[name])


def _options(command: Any, path: str = "") -> dict[str, dict[str, Any]]:
    if hasattr(command, "commands"):
        found: dict[str, dict[str, Any]] = {}
        for name, inner in command.commands.items():
            found |= _options(inner, f"{path} {name}".strip())
        return found
    options = {}
    for p in command.params:
        name = p.opts[0] if p.opts[0].startswith("-") else p.name
        empty = [] if p.multiple else None
        default = empty if p.default in (None, [], ()) else p.default
        options[name] = REQUIRED if p.required else _plain(default)
    return {path: options}


def _plain(default: Any) -> Any:
    return default if isinstance(default, bool | int | float | list | None) else str(default)
