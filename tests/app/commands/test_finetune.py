"""`medshot finetune`: another model beside the first, what was gained, or one sentence."""

import json
from pathlib import Path

import pytest

from medshot.core.predictor import load_predictor
from toys.commands import folder
from toys.fixtures import Medshot


def test_a_model_becomes_another_and_says_what_moved(
    medshot: Medshot, tmp_path: Path, model: Path
) -> None:
    before = (model / "weights.safetensors").read_bytes()
    data = folder(tmp_path / "data", (4, 4), first=50)
    words = ("--what=lora", "--set", "rank=2", "--steps=4", "--unseen")
    out, numbers = tmp_path / "model", tmp_path / "numbers.json"
    done = medshot("finetune", model, "--data", data, *words, "--out", out, "--json", numbers)
    assert done.status == 0, done.err
    said = json.loads(numbers.read_text())
    head = 2 * 8 + 1  # two class means of eight features, and their scale
    assert said["parameters"] == head + 2 * (27 + 8) + 3 * 2 * (72 + 8)
    assert f"{said['parameters']} weights moved for {said['steps']} steps" in done.out
    assert "this flatters" in done.out
    assert said["seconds"] > 0
    assert said["scores"]["fine-tuned"]["difference"]["low"] <= 1
    assert load_predictor(out).known_card().stages[-1]["steps chosen by"] == "images left out"
    assert "Then: finetune, what lora" in (out / "README.md").read_text()
    assert (model / "weights.safetensors").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "model", "numbers.json"]


def test_it_is_judged_on_other_images_where_there_are_some(
    medshot: Medshot, tmp_path: Path, model: Path
) -> None:
    data, test = folder(tmp_path / "data"), folder(tmp_path / "test", first=90)
    words = ("--what=head", "--steps=2", "--test", test, "--out", tmp_path / "model")
    done = medshot("finetune", model, "--data", data, *words)
    assert done.status == 0, done.err
    assert f"on {test}" in " ".join(done.out.split())
    assert "flatters" not in done.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--what", "lorra"), "Did you mean 'lora'"),
        (("--set", "rang=2"), "Did you mean 'rank'"),
        (("--set", "rank=0"), "rank=0 must be at least 1"),
        (("--lr", "0"), "lr=0.0 above 0"),
        (("--steps", "-1"), "steps=-1"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_nothing_stays(
    medshot: Medshot, tmp_path: Path, model: Path, words: tuple[str, ...], told: str
) -> None:
    data = folder(tmp_path / "data", (2, 2))
    out = tmp_path / "model"
    assert medshot("finetune", model, "--data", data, "--out", out, *words).refused(told)
    assert not out.exists()


def test_a_folder_of_one_class_is_refused(medshot: Medshot, tmp_path: Path, model: Path) -> None:
    data = folder(tmp_path / "data", (3,))
    done = medshot("finetune", model, "--data", data, "--out", tmp_path / "model")
    assert done.refused("only one class")


def test_where_only_the_head_can_move_it_does(medshot: Medshot, tmp_path: Path) -> None:
    data = folder(tmp_path / "data", (4, 4))
    pixels = ("--learner", "linear-probe", "--encoder", "pixels")
    assert medshot("adapt", data, "--out", tmp_path / "model", *pixels).status == 0
    words = ("finetune", tmp_path / "model", "--data", data, "--steps", "2")
    done = medshot(*words, "--out", tmp_path / "tuned")
    assert done.status == 0, done.err
    assert "What moves: head." in done.out
    named = medshot(*words, "--out", tmp_path / "other", "--what", "lora")
    assert named.refused("pixels has no linear layers", "Take 'head'")
