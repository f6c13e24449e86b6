"""The demonstration, short: everything that the issue's main job makes, from phantoms."""

from pathlib import Path

import pytest
import torch

from app.conftest import Medshot
from app.toys import table
from medshot.app import demonstrate
from medshot.app.demonstrate import Once
from medshot.core.store import load_predictor
from medshot.data.phantoms import PhantomEpisodes
from medshot.data.phantoms.task import PhantomTask

SMALL = {"way": 2, "shot": 1, "query": 1, "size": 16}


def test_the_demonstration_leaves_a_predictor_a_report_and_files_to_try(
    medshot: Medshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WAY": 2, "SHOT": 2, "QUERY": 2, "QUERIES_A_CLASS": 3}.items():
        monkeypatch.setattr(demonstrate, name, value)
    monkeypatch.setattr(demonstrate, "VAL_EPISODES", 2)
    out = tmp_path / "demo"
    done = medshot("demo", "--out", out, "--steps", 2, "--episodes", 3)
    assert done.status == 0, done.err
    assert str(out / "report.html") in done.out
    page = (out / "report.html").read_text()
    assert "medshot demo --out" in page
    assert "say nothing about real images" in page
    assert len(list((out / "my_images").glob("*.png"))) == 4
    assert load_predictor(out / "model").known_card().labels

    following = done.out.partition("Next:")[2].split()
    assert medshot(*following[1:]).status == 0
    answers = table(out / "answers.csv")
    assert len(answers) == len(list((out / "new_images").glob("*.png"))) == 6

    again = medshot("demo", "--out", out, "--steps", 2, "--episodes", 3)
    assert again.refused("exists already")


def test_episodes_drawn_once_are_the_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    source = PhantomEpisodes(**SMALL)
    once, drawn = Once(source), []
    real = PhantomTask.images
    monkeypatch.setattr(PhantomTask, "images", lambda *a, **k: drawn.append(1) or real(*a, **k))
    for _ in range(3):
        assert torch.equal(once.episode(4).query.x, source.episode(4).query.x)
    assert len(drawn) == 4, "three by the source, one for the three of `once`"
    assert once.describe() == source.describe()
    assert once.fingerprint(3) == source.fingerprint(3)
