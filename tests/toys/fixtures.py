"""Fixtures of the command line: one run and one model for all tests, and commands in process."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from medshot.evaluation import cross_validation
from toys.commands import SMALL, TRAIN, Outcome, command, folder

Medshot = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals are tested beside their code; here a few draws do."""
    monkeypatch.setattr(cross_validation, "DRAWS", 30)


@pytest.fixture(autouse=True)
def _on_the_path(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where medshot is installed: the shell finds it by its name."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "medshot").write_text("#!/bin/sh\n")
    (folder / "medshot").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.fixture
def medshot(capfd: pytest.CaptureFixture[str]) -> Medshot:
    """`medshot("adapt", folder, ...)` runs the command in process."""

    def run(*words: str | Path) -> Outcome:
        capfd.readouterr()
        status = command(*words)
        said = capfd.readouterr()
        return Outcome(status, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `run` was meta-trained on."""
    return folder(tmp_path_factory.mktemp("taught") / "set", (10, 10))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, taught: Path) -> Path:
    """A run of three steps."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert command("train", "prototypical", "--data", taught, "--out", out, *SMALL, *TRAIN) == 0
    return out


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A predictor that `adapt` made."""
    place = tmp_path_factory.mktemp("models")
    source = folder(place / "support", (4, 4))
    named = ("--learner", "nearest-centroid", *SMALL)
    assert command("adapt", source, "--out", place / "model", *named) == 0
    return place / "model"
