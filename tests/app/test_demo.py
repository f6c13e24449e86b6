"""The demonstration, short: everything that the main job makes, from phantoms."""

from pathlib import Path

import pytest

import medshot.api.demo as module
from medshot.core.predictor import load_predictor
from toys.commands import table
from toys.fixtures import Medshot


def test_the_demonstration_leaves_a_predictor_a_report_and_files_to_try(
    medshot: Medshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WAY": 2, "SHOT": 2, "SIZE": 32, "QUERIES_A_CLASS": 3}.items():
        monkeypatch.setattr(module, name, value)
    out = tmp_path / "demo"
    done = medshot("demo", "--out", out)
    assert done.status == 0, done.err
    assert str(out / "report.html") in done.out
    assert "ImageNet linear probe" in done.out
    page = (out / "report.html").read_text()
    assert "medshot demo --out" in page
    assert "say nothing about real images" in page
    assert len(list((out / "my_images").glob("*.png"))) == 4
    assert load_predictor(out / "model").known_card().labels

    following = done.out.partition("Next:")[2].split()
    assert medshot(*following[1:]).status == 0
    answers = table(out / "answers.csv")
    assert len(answers) == len(list((out / "new_images").glob("*.png"))) == 6

    assert medshot("demo", "--out", out).refused("exists already")
