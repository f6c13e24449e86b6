"""`medshot pretrain`, and what the other commands make of the encoder that it writes."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medshot.pretraining import load_encoder
from toys.commands import SMALL, folder
from toys.fixtures import Medshot

FEW = ("--steps=4", "--batch=8", "--judge-every=2")


@pytest.fixture
def data(tmp_path: Path) -> list[Path]:
    """Two folders of other labels."""
    other = folder(tmp_path / "B", (6, 6), labels=("high", "low"), first=50)
    return [folder(tmp_path / "A", (6, 6, 6)), other]


@pytest.mark.parametrize("objective", ["reconstruct", "contrast", "supervise"])
def test_from_two_folders_to_a_model_and_its_report(
    medshot: Medshot, tmp_path: Path, data: list[Path], objective: str
) -> None:
    out, record = tmp_path / "encoder", tmp_path / "record.json"
    words = ("--objective", objective, "--out", out, "--json", record, *SMALL, *FEW)
    done = medshot("pretrain", "--data", *data, *words)
    assert done.status == 0, done.err
    assert "A: 18 images" in done.out
    assert f"Next: medshot adapt MY_IMAGES --encoder {out} --out MODEL" in done.out
    told = json.loads(record.read_text())
    assert [row["step"] for row in told["history"]] == [2, 4]
    assert told["settings"]["objective"] == objective
    assert list((out / "tensorboard").iterdir())
    assert not out.with_name("encoder.unfinished").exists()
    support = folder(tmp_path / "support", (4, 4), first=90)
    adapted = medshot("adapt", support, "--encoder", out, "--out", tmp_path / "model")
    assert adapted.status == 0, adapted.err
    about = json.loads((tmp_path / "model" / "predictor.json").read_text())
    assert about["learner"]["origin"] == load_encoder(out).origin
    assert about["learner"]["origin"] in (tmp_path / "model" / "README.md").read_text()
    assert "pretrained" in (tmp_path / "model" / "report.html").read_text()


def test_it_is_not_judged_on_what_it_learned_from(
    medshot: Medshot, tmp_path: Path, data: list[Path]
) -> None:
    out = tmp_path / "encoder"
    assert medshot("pretrain", "--data", *data, "--out", out, *SMALL, *FEW).status == 0
    few = ("--shot=1", "--query=1", "--episodes=2", "--encoder", out)
    judged = medshot("evaluate", "linear-probe", "--data", data[0], *few)
    assert judged.refused("encoder was pretrained on 3 class")
    words = ("--learner", "linear-probe", "--encoder", out, "--out", tmp_path / "model")
    flattered = medshot("adapt", data[0], *words)
    assert "scores here are too good. This encoder was pretrained on" in " ".join(
        flattered.out.split()
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--objective", "recon"), "no objective called 'recon'"),
        (("--set", "maks=0.5"), "Did you mean 'mask'"),
        (("--encoder", "conf4"), "Did you mean 'conv4'"),
        (("--objective", "colourise"), "no colour in A, B"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_nothing_is_written(
    medshot: Medshot, tmp_path: Path, data: list[Path], words: tuple[str, ...], told: str
) -> None:
    out = tmp_path / "encoder"
    assert medshot("pretrain", "--data", *data, "--out", out, *SMALL, *FEW, *words).refused(told)
    assert not out.exists()


def test_a_number_out_of_bounds_is_refused_with_the_bound_and_nothing_is_written(
    medshot: Medshot, tmp_path: Path, data: list[Path]
) -> None:
    out = tmp_path / "encoder"
    ended = medshot("pretrain", "--data", *data, "--out", out, *SMALL, *FEW, "--batch", "1")
    assert ended.status == 2
    assert "--batch" in ended.err
    assert "greater than or equal to 2" in ended.err
    assert not out.exists()


def test_a_taken_place_is_refused(medshot: Medshot, tmp_path: Path, data: list[Path]) -> None:
    assert medshot("pretrain", "--data", *data, "--out", tmp_path, *SMALL, *FEW).refused("exists")


def test_killed_the_same_command_goes_on(tmp_path: Path, data: list[Path]) -> None:
    out = tmp_path / "encoder"
    words = ["pretrain", "--data", str(data[0]), "--out", str(out), *SMALL, "--batch=8"]
    words += ["--judge-every=5", "--steps=100000"]
    killed = subprocess.Popen(
        [sys.executable, "-m", "medshot", *words], stderr=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    working = out.with_name("encoder.unfinished")
    for _ in range(600):
        if (working / "descent.json").exists():
            break
        time.sleep(0.1)
    killed.kill()
    killed.communicate()
    assert (working / "descent.json").exists()
    assert not out.exists()
    words[-1] = "--steps=3"
    again = [sys.executable, "-m", "medshot", *words]
    done = subprocess.run(again, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert load_encoder(out).origin.startswith("pretrained (reconstruct) on A")
    assert not working.exists()
