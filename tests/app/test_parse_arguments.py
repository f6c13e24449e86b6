"""A place that is taken is refused by every command at once, before PyTorch is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from toys.fixtures import Medshot

TAKEN = {
    "adapt": "adapt no --out {}",
    "predict": "predict no no --out {}",
    "pretrain": "pretrain --data no --out {}",
    "export": "export no --out {}",
    "train": "train prototypical --data no --out {}",
    "compress": "compress no --data no --out {}",
    "finetune": "finetune no --data no --out {}",
    "harden": "harden no --data no --out {}",
    "fuse": "fuse no no --data no --out {}",
    "select": "select no --out {}",
    "demo": "demo --out {}",
    "evaluate": "evaluate no --data no --json {}/mine",
    "attack": "attack no --data no --plot {}/mine",
}


def test_every_command_refuses_a_place_that_is_taken_at_once(tmp_path: Path) -> None:
    out = tmp_path / "taken"
    out.mkdir()
    (out / "mine").write_text("mine")
    code = (
        "import sys\n"
        "from medshot.app.cli import main\n"
        "for line in sys.argv[1:]:\n"
        "    try: main(line.split())\n"
        "    except SystemExit as end: assert end.code == 2, line\n"
        "    else: raise AssertionError(line)\n"
        "sys.exit(3 if 'torch' in sys.modules else 0)"
    )
    lines = [line.format(out) for line in TAKEN.values()]
    command = [sys.executable, "-c", code, *lines]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert len(said) == len(TAKEN)
    assert all(str(out) in line and "exists already" in line for line in said)
    assert [file.name for file in out.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["adapt", "evaluate", "train", "pretrain", "predict", "demo"])
def test_every_command_that_computes_takes_threads(medshot: Medshot, name: str) -> None:
    assert "--threads" in medshot(name, "--help").out
    assert "--threads" in medshot(name, "--threads", "0").err
