"""`medshot train --data phantoms`: a run on episodes that are drawn."""

from pathlib import Path

import pytest

import medshot
from medshot.training.run import load_run
from toys import conv4
from toys.commands import folder
from toys.fixtures import Medshot

FEW = ("--steps", "2", "--val-every", "2", "--val-episodes", "1", "--shot", "2", "--query", "1")
TINY = ("--set", "encoder.size=32", "--set", "encoder.width=4")


def test_phantoms_with_masks_and_with_labels_teach(medshot: Medshot, tmp_path: Path) -> None:
    kinds = {"segmentation": (), "classification": ("--way", "2", "--encoder", "conv4")}
    for kind, more in kinds.items():
        out = tmp_path / kind
        words = ("prototypical", "--data", "phantoms", "--task", kind, "--out", out)
        done = medshot("train", *words, *FEW, *TINY, *more)
        assert done.status == 0, done.err
        assert "Phantoms are drawn" in done.out
        assert "meta-trained on phantoms for 2 steps" in done.out
        about = load_run(out).about
        assert about["train"]["seed"] != about["val"]["seed"]
        assert about["train"]["size"] == 32
        assert about["train"].get("masks", False) == (kind == "segmentation")


def test_a_folder_of_that_name_is_read(
    medshot: Medshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "phantoms").mkdir()
    monkeypatch.chdir(tmp_path)
    ended = medshot("train", "prototypical", "--data", "phantoms", "--out", tmp_path / "run")
    assert ended.refused("phantoms")
    assert "Phantoms are drawn" not in ended.out


def test_labelled_phantoms_in_one_channel_are_refused(medshot: Medshot, tmp_path: Path) -> None:
    words = ("--data", "phantoms", "--out", tmp_path / "run", "--set", "encoder.channels=1")
    assert medshot("train", "prototypical", *words).refused("have 3 channels")
    assert not (tmp_path / "run").exists()


def test_kinds_without_phantoms_are_refused(medshot: Medshot, tmp_path: Path) -> None:
    for kind in ("regression", "detection"):
        words = ("ridge", "--data", "phantoms", "--task", kind, "--out", tmp_path / "run")
        assert medshot("train", *words).refused(f"no phantoms for {kind}", "--data")


def test_names_and_folders_in_python_with_validation_data_of_ones_own(tmp_path: Path) -> None:
    source, told = folder(tmp_path / "mine", (4, 4, 4)), []
    val = medshot.load(folder(tmp_path / "val", (4, 4, 4), first=50), channels=1, size=16)
    few = {"way": 2, "shot": 1, "query": 1, "steps": 1, "val_episodes": 1}
    words = {"encoder": "conv4", "options": ["encoder.channels=1", "encoder.size=16"]}
    run = medshot.train("prototypical", source, val=val, tell=told.append, **words, **few)
    assert run.about["val"]["hash"] == val.hash
    assert any("mine: 12 images" in said for said in told)
    learner = medshot.build("prototypical", encoder=conv4())
    assert medshot.train(learner, [source], val=val, **few).about["train"]["hash"] != val.hash
    with pytest.raises(medshot.ConfigError, match="Did you mean 'steps'"):
        medshot.train("prototypical", source, stps=1)
