"""`medshot harden` from end to end, and what it refuses."""

import json

import pytest

from medshot.core.store import load_predictor
from toys.commands import folder

FEW = ("--steps=4", "--attack-steps=1", "--batch=4")


@pytest.fixture
def images(tmp_path):
    return folder(tmp_path / "mine", (4, 4))


def test_a_hardened_model_beside_the_old_one(medshot, model, images, tmp_path):
    before = {f.name: f.read_bytes() for f in model.iterdir()}
    others, out, file = folder(tmp_path / "others", (4, 4), first=40), tmp_path / "h", "n.json"
    words = ("--data", images, "--test", others, "--out", out, "--json", tmp_path / file)
    ended = medshot("harden", model, *words, "--attack", "fgsm", "--epsilon", "8/255", *FEW)
    assert ended.status == 0, ended.err
    for word in ("before", "hardened", "16/255", "on images as they are", str(out)):
        assert word in ended.out
    assert {f.name: f.read_bytes() for f in model.iterdir()} == before
    assert not (tmp_path / "h.unfinished").exists()
    assert (out / "robustness.svg").read_text().startswith("<svg")
    assert (out / "tensorboard").is_dir()
    (stage,) = load_predictor(out).known_card().stages
    assert stage["stage"] == "harden"
    assert "harden" in (out / "README.md").read_text()
    found = json.loads((tmp_path / file).read_text())
    pgd = [row["balanced accuracy"]["mean"] for row in found["before"]["attacked"]]
    assert len(pgd) == 3
    after = [row for row in found["after"]["attacked"] if row["attack"] == "pgd"]
    assert found["robust_change"]["mean"] == pytest.approx(
        after[1]["balanced accuracy"]["mean"] - pgd[1]
    )


def test_a_model_that_was_hardened_can_be_hardened_again(medshot, model, images, tmp_path):
    few = ("--data", images, *FEW, "--norm", "l2", "--epsilon", "0.5")
    assert medshot("harden", model, *few, "--out", tmp_path / "one").status == 0
    ended = medshot("harden", tmp_path / "one", *few, "--out", tmp_path / "two")
    assert ended.status == 0, ended.err
    assert "this flatters" in ended.out.replace("\n", " ")
    assert len(load_predictor(tmp_path / "two").known_card().stages) == 2


def test_what_cannot_be_is_refused_and_nothing_is_left(medshot, model, images, tmp_path):
    for wrong, said in (
        (("--attack", "square"), "Known: fgsm, pgd"),
        (("--epsilon", "4"), "write 4/255"),
        (("--epsilon", "nan"), "no number"),
        (("--share", "2"), "share"),
        (("--steps", "-1"), "steps"),
        (("--norm", "l2", "--epsilon", "99"), "at most"),
    ):
        ended = medshot("harden", model, "--data", images, "--out", tmp_path / "h", *wrong)
        assert ended.refused(said), ended
        assert not list(tmp_path.glob("h*"))
    same = medshot("harden", model, "--data", images, "--test", images, "--out", tmp_path / "h")
    assert same.refused("too good")
    taken = medshot("harden", model, "--data", images, "--out", images)
    assert taken.refused("exists already")
