"""`medshot train`: a run that goes on where it was, and says what comes next."""

import subprocess
import sys
from pathlib import Path

import pytest

from medshot.training.run import load_run
from toys.commands import SMALL, TRAIN, folder
from toys.fixtures import Medshot


@pytest.mark.parametrize("words", ["--data A B", "--data A --data B"])
def test_several_folders_either_way(medshot: Medshot, tmp_path: Path, words: str) -> None:
    for first, name in enumerate("AB"):
        folder(tmp_path / name, (10, 10), first=100 * first)
    data = [tmp_path / w if w in "AB" else w for w in words.split()]
    out = tmp_path / "run"
    done = medshot("train", "prototypical", *data, "--out", out, *SMALL, *TRAIN)
    assert done.status == 0, done.err
    assert "A: 20 images (bright 10, dark 10)" in done.out
    assert f"Next: medshot adapt MY_IMAGES --learner {out} --out MODEL" in done.out
    mixture = load_run(out).about["train"]["mixture"]
    assert [part["data"] for part in mixture] == ["A", "B"]


def test_the_same_command_goes_on_and_another_is_refused(
    medshot: Medshot, run: Path, taught: Path
) -> None:
    words = ("train", "prototypical", "--data", taught, "--out", run, *SMALL, *TRAIN)
    assert medshot(*words).status == 0
    assert medshot(*words, "--lr", "0.5").refused("lr was 0.001 and is 0.5")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("prototypicl",), "Did you mean 'prototypical'"),
        (("prototypical", "--encoder", "conf4"), "Did you mean 'conv4'"),
        (("prototypical", "--set", "distanc=squared"), "Did you mean 'distance'"),
        (("prototypical", "--set", "width"), "name=value"),
        (("prototypical",), "no such folder"),
    ],
)
def test_a_wrong_word_is_one_sentence(
    medshot: Medshot, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    ended = medshot("train", *words, "--data", tmp_path / "no", "--out", tmp_path / "run")
    assert ended.refused(told)
    assert not (tmp_path / "run").exists()


def test_a_baseline_has_nothing_to_train(medshot: Medshot, taught: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert medshot("train", "lda", "--data", taught, "--out", out, *SMALL).refused("is a baseline")
    assert not out.exists()


def test_terms_beside_the_loss_are_recorded_and_cited(
    medshot: Medshot, run: Path, taught: Path, tmp_path: Path
) -> None:
    words = ("train", "prototypical", "--data", taught, "--out", tmp_path / "run", *SMALL, *TRAIN)
    terms = ("--contrast", "0.1", "--meta-batch", "2", "--teacher", run)
    done = medshot(*words, *terms)
    assert done.status == 0, done.err
    names = [term["term"] for term in load_run(tmp_path / "run").about["settings"]["terms"]]
    assert names == ["task contrast", "self-distillation"]
    cited = medshot("cite", tmp_path / "run").out
    assert "{wu2024,\n" in cited
    assert "{furlanello2018,\n" in cited


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--contrast", "0.1", "--meta-batch", "3"), "multiple of 2"),
        (("--contrast", "-1"), "above 0"),
        (("--teacher", "nowhere"), "nowhere"),
        (("--vectorise", "--set", "encoder.norm=batch"), "several tasks in one pass"),
    ],
)
def test_terms_and_passes_that_cannot_be(
    medshot: Medshot, taught: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    out = tmp_path / "run"
    ended = medshot("train", "prototypical", "--data", taught, "--out", out, *SMALL, *TRAIN, *words)
    assert ended.refused(told)


def test_a_teacher_of_images_of_another_form(
    medshot: Medshot, run: Path, taught: Path, tmp_path: Path
) -> None:
    words = ("train", "prototypical", "--data", taught, "--out", tmp_path / "run", "--teacher", run)
    assert medshot(*words, *TRAIN, "--set", "encoder.size=32").refused("teacher")


def test_several_processes_speak_with_one_voice(tmp_path: Path, taught: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "medshot", "train", "prototypical"]
    command += ["--data", str(taught), "--out", str(tmp_path / "run"), "--meta-batch", "2"]
    done = subprocess.run(
        [*command, *SMALL, *TRAIN], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Next: medshot adapt") == 1
    assert load_run(tmp_path / "run").history


def test_the_query_may_be_attacked(medshot, taught, tmp_path):
    words = ("train", "prototypical", "--data", taught, "--out", tmp_path / "run", *SMALL, *TRAIN)
    ended = medshot(*words, "--adversarial", "8/255")
    assert ended.status == 0, ended.err
    settings = load_run(tmp_path / "run").about["settings"]
    assert settings["terms"][0]["term"] == "adversarial querying"
    assert medshot(*words, "--adversarial", "8").refused("write 8/255")
