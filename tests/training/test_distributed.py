"""Two processes that share out the episodes end where one ends, and a lost one loses nothing."""

import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from medshot.core.errors import ConfigError
from medshot.training.distributed import Processes
from toys.training import train_case

TESTS = Path(__file__).parents[1]
PROGRAM = """
import os, sys
from toys.training import lose_a_process, train_case
kind, out, at = sys.argv[1:]
if at != "0" and os.environ["RANK"] == "1":
    lose_a_process(int(at))
train_case(kind, __import__("pathlib").Path(out))
"""


def _torchrun(kind: str, out: Path, *, lost_at: int = 0) -> subprocess.CompletedProcess[str]:
    program = out.parent / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(program), kind, str(out), str(lost_at)]
    found = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    paths = {"PYTHONPATH": found, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ | paths, check=False
    )


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    with safe_open(folder / "checkpoint.safetensors", "pt") as file:
        names = [n for n in file.keys() if n.startswith("learner.")]  # noqa: SIM118
        return {name: file.get_tensor(name) for name in names}


@pytest.mark.parametrize("kind", ["maml", "patience"])
def test_two_processes_end_with_the_weights_of_one(kind: str, tmp_path: Path) -> None:
    train_case(kind, tmp_path / "one")
    done = _torchrun(kind, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    one, two = (_weights(tmp_path / name) for name in ("one", "two"))
    torch.testing.assert_close(two, one, rtol=0, atol=1e-5)


def test_a_lost_process_ends_the_run_with_a_message_and_it_goes_on_from_there(
    tmp_path: Path,
) -> None:
    train_case("maml", tmp_path / "one")
    out = tmp_path / "two"
    cut = _torchrun("maml", out, lost_at=5)
    assert cut.returncode != 0
    assert "Another process of this run was lost" in cut.stderr
    assert "resume from it" in cut.stderr
    assert (out / "checkpoint.safetensors").exists()
    done = _torchrun("maml", out)
    assert done.returncode == 0, done.stderr
    torch.testing.assert_close(_weights(out), _weights(tmp_path / "one"), rtol=0, atol=1e-5)


def test_every_episode_is_one_process_s() -> None:
    shares = [[*Processes(rank, 3).indices(5, 6)] for rank in range(3)]
    assert [*chain(*shares)] == list(range(30, 36))
    parts = [[*Processes(rank, 3).part(7)] for rank in range(3)]
    assert sorted(chain(*parts)) == list(range(7))


def test_episodes_that_cannot_be_shared_evenly_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"meta_batch.*multiple of 3"):
        Processes(0, 3).share(4)


def test_a_process_alone_changes_nothing() -> None:
    learner = torch.nn.Linear(2, 2)
    assert Processes().average(learner, 0.5) == 0.5
    assert learner.weight.grad is None
    assert Processes().sum(0.25) == 0.25
