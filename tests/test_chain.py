"""The example of all stages in one chain runs, and every step says what it does to the score."""

import re
import runpy
from pathlib import Path

import pytest

import medshot
from toys.commands import folder

SCRIPT = Path(__file__).parents[1] / "examples" / "chain.py"
STEPS = ["adapted", "fine-tuned", "hardened", "pruned", "int8"]


def test_from_pretraining_to_a_file_for_other_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taught = folder(tmp_path / "taught", (25, 25, 25), labels=("one", "two", "three"))
    mine, others = folder(tmp_path / "mine"), folder(tmp_path / "others", (8, 8), first=50)
    words = ["--taught", taught, "--mine", mine, "--others", others, "--out", tmp_path / "out"]
    monkeypatch.setattr("sys.argv", ["chain.py", *map(str, words), "--steps", "20"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == STEPS
    scores = [float(re.search(r"accuracy +([\d.]+)", line)[1]) for line in lines[:5]]  # type: ignore[index]
    assert min(scores) > 60, scores
    sizes = [float(re.search(r"([\d.]+) MB", line)[1]) for line in lines[:5]]  # type: ignore[index]
    assert sizes[0] == sizes[1] == sizes[2] > sizes[3] > sizes[4]
    loaded = medshot.load_predictor(tmp_path / "out" / "model")
    done = [stage["stage"] for stage in loaded.known_card().stages]
    assert done == ["finetune", "harden", "prune", "quantise"]
    assert (tmp_path / "out" / "model.onnx").stat().st_size > 1000
