"""`medshot attack` from end to end: tables, a plot, numbers, and what it refuses."""

import json
from xml.etree import ElementTree

from toys.commands import folder

FEW = ("--steps=2", "--queries=5")


def test_it_measures_and_changes_nothing(medshot, model, tmp_path):
    images = folder(tmp_path / "others", (5, 5), first=40)
    before = {f.name: f.read_bytes() for f in model.iterdir()}
    files = ("--plot", tmp_path / "a.svg", "--json", tmp_path / "a.json")
    wanted = ("--epsilon", "2/255", "--epsilon", "0.1", *FEW)
    ended = medshot("attack", model, "--data", images, *wanted, "--corruptions", *files)
    assert ended.status == 0, ended.err
    for word in ("FGSM", "PGD-2", "PGD-8", "square-5", "2/255", "0.1", "radients", "noise", "lost"):
        assert word in ended.out
    found = json.loads((tmp_path / "a.json").read_text())
    assert [row["attack"] for row in found["attacked"]] == [
        *("fgsm", "pgd", "fgsm", "pgd", "pgd", "square")
    ]
    assert set(found["corruptions"]) == {"digital", "noise", "blur", "light", "modality"}
    assert 0 <= found["clean"]["accuracy"]["mean"] <= 1
    ElementTree.parse(tmp_path / "a.svg")
    assert {f.name: f.read_bytes() for f in model.iterdir()} == before


def test_the_usual_epsilons_of_a_norm(medshot, model, tmp_path):
    images = folder(tmp_path / "others", (2, 2), first=40)
    ended = medshot("attack", model, "--data", images, "--norm", "l2", *FEW)
    assert ended.status == 0, ended.err
    for word in ("L2", "0.25", "0.5"):
        assert word in ended.out


def test_what_cannot_be_is_refused_in_one_line_and_nothing_is_written(medshot, model, tmp_path):
    images = folder(tmp_path / "others", (2, 2), first=40)
    plot = tmp_path / "a.svg"
    for wrong, said in (
        (("--epsilon", "4"), "write 4/255"),
        (("--epsilon", "0"), "above 0"),
        (("--epsilon", "four"), "no number"),
        (("--norm", "l1"), "no norm called 'l1'"),
        (("--steps", "0"), "at least 1 step"),
        (("--queries", "0"), "at least 1 query"),
        (("--norm", "l2", "--epsilon", "99"), "at most"),
    ):
        ended = medshot("attack", model, "--data", images, "--plot", plot, *wrong)
        assert ended.refused(said), ended
        assert not plot.exists()
    assert medshot("attack", tmp_path / "none", "--data", images).refused("no folder")
    plot.write_text("mine")
    assert medshot("attack", model, "--data", images, "--plot", plot).refused("exists already")
    assert plot.read_text() == "mine"


def test_images_that_it_has_learned_from_are_pointed_out(medshot, model, tmp_path):
    images = folder(tmp_path / "support", (4, 4))  # as those of `model`
    ended = medshot("attack", model, "--data", images, "--epsilon", "1/255", *FEW)
    assert "flatters" in ended.out


def test_images_of_other_classes_are_refused(medshot, model, tmp_path):
    other = folder(tmp_path / "other", (2, 2), labels=("cat", "dog"))
    assert medshot("attack", model, "--data", other).refused("cat, dog")
