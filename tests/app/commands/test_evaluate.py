"""`medshot evaluate`: a table for people, JSON for programs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import toys
from medshot.api import episodes
from medshot.evaluation.protocols import protocols
from toys.commands import SMALL, folder
from toys.fixtures import Medshot

FEW = ("--episodes", "4", "--shot", "2", "--query", "2")


def test_a_folder_gives_a_table_and_json(medshot: Medshot, tmp_path: Path) -> None:
    mine, out = folder(tmp_path / "mine"), tmp_path / "result.json"
    done = medshot("evaluate", "prototypical", "--data", mine, *FEW, *SMALL, "--json", out)
    assert done.status == 0, done.err
    found = json.loads(out.read_text())
    assert found["episodes"]["fingerprint"] in done.out
    for metric, interval in found["metrics"].items():
        assert interval["low"] <= interval["mean"] <= interval["high"], metric
    assert [b["learner"] for b in found["baselines"]] == list(found["minus_baseline"])
    first = found["baselines"][0]
    assert first["episodes"] == found["episodes"], "paired: the same episodes"
    mean = "balanced accuracy"
    assert found["minus_baseline"][first["learner"]]["mean"] == pytest.approx(
        found["metrics"][mean]["mean"] - first["metrics"][mean]["mean"]
    )


def test_the_same_command_gives_the_same_numbers(medshot: Medshot, tmp_path: Path) -> None:
    mine = folder(tmp_path / "mine")
    for name in ("a", "b"):
        words = ("evaluate", "prototypical", "--data", mine, *FEW, *SMALL)
        assert medshot(*words, "--json", tmp_path / name).status == 0
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


def test_nothing_is_overwritten(medshot: Medshot, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("mine")
    words = ("evaluate", "lda", "--data", tmp_path / "no", "--json", tmp_path / "a.json")
    assert medshot(*words).refused("exists already")


def test_a_protocol_by_name(
    medshot: Medshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = protocols()["medshot26/covid_ct/1s"]
    dataset = toys.dataset(3, 6, channels=3, size=16)
    tiny = replace(known, read=lambda _root, _part: dataset, episodes=3, query=2, size=16)
    monkeypatch.setattr(episodes, "named_protocol", lambda _: tiny)
    monkeypatch.setenv("MEDSHOT_DATA", str(tmp_path))
    words = ("evaluate", "lda", "--protocol", tiny.name, "--encoder", "pixels")
    done = medshot(*words, "--json", tmp_path / "a.json")
    assert done.status == 0, done.err
    assert tiny.name in done.out
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["protocol"] == tiny.name
    assert found["episodes"]["count"] == 3
    assert medshot(*words, "--shot", 3).refused("fixes its numbers: leave --shot out")


def test_the_protocols_are_listed_without_a_learner(medshot: Medshot) -> None:
    listed = medshot("evaluate", "--protocol", "list")
    assert listed.status == 0
    assert {line.split()[0] for line in listed.out.splitlines()} == set(protocols())


def test_what_cannot_be_is_said_before_the_data_are_read(medshot: Medshot, tmp_path: Path) -> None:
    no = tmp_path / "no"
    for words, told in (
        (("lda",), "either --protocol NAME or --data DIR"),
        (("lda", "--data", no, no), "either --protocol NAME or --data DIR"),
        (("lda", "--data", no, "--protocol", "x"), "either"),
        (("lda", "--protocol", "snell17/omniglot/5w2s"), "Did you mean 'snell17/omniglot/5w"),
        (("prototipical", "--data", no), "Did you mean 'prototypical'"),
        (("prototypical", "--data", no, "--encoder", "pixel"), "Did you mean 'pixels'"),
        (("lda", "--data", no), "no such folder"),
    ):
        assert medshot("evaluate", *words).refused(told), words


def test_a_run_on_what_it_was_trained_on(medshot: Medshot, run: Path, taught: Path) -> None:
    assert medshot("evaluate", run, "--data", taught, *FEW).refused("meta-trained on .*set")
    assert medshot("evaluate", run, "--data", taught, "--encoder", "pixels").refused("A run has")


def test_saved_models_on_labelled_images(medshot: Medshot, model: Path, tmp_path: Path) -> None:
    mine = folder(tmp_path / "mine", (4, 4), first=30)
    small = ("--learner", "lda", "--encoder", "pixels")
    assert medshot("adapt", mine, "--out", tmp_path / "second", *small).status == 0
    others = folder(tmp_path / "others", (6, 6), first=50)
    page, numbers = tmp_path / "page.html", tmp_path / "numbers.json"
    words = ("evaluate", model, tmp_path / "second", "--data", others)
    done = medshot(*words, "--report", page, "--json", numbers)
    assert done.status == 0, done.err
    found = json.loads(numbers.read_text())["models"]
    assert list(found) == ["model", "second"]
    score = 100 * found["model"]["metrics"]["balanced accuracy"]["mean"]
    assert f"{score:.1f} [" in done.out
    for said in ("sensitivity", "negative", "expected calibration error", "difference"):
        assert said in done.out
    shown = page.read_text()
    for said in ("What it was evaluated on", "sensitivity", "The first model minus the other"):
        assert said in shown
    assert "What it learned from" not in shown
    assert medshot(*words, "--report", page).refused("exists already")


def test_a_saved_model_is_as_it_is(medshot: Medshot, model: Path, tmp_path: Path) -> None:
    others = folder(tmp_path / "others", (3, 3), first=50)
    learned = model.parent / "support"
    for words, told in (
        ((model,), "--data DIR"),
        ((model, "--data", others, "--shot", 3), "--shot: for learners"),
        ((model, "--protocol", "x", "--data", others), "--protocol: for learners"),
        ((model, "lda", "--data", others), "lda is no saved model"),
        (("lda", "--data", others, "--report", tmp_path / "r.html"), "--report is for saved"),
        ((model, "--data", learned), "learned from 8 of the 8 images"),
    ):
        assert medshot("evaluate", *words).refused(told), words
