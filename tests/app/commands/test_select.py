"""`medshot select`: a model, a report with what was tried, numbers; or one sentence."""

import json
from pathlib import Path

import pytest

from medshot.core.predictor import load_predictor
from medshot.selection import choice
from toys.commands import folder
from toys.fixtures import Medshot


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "DRAWS", 30)


def test_it_leaves_a_model_a_report_and_the_numbers(
    medshot: Medshot, tmp_path: Path, run: Path
) -> None:
    out, noted = tmp_path / "model", tmp_path / "model.json"
    words = ("--trials", "3", "--learner", run, "--out", out, "--json", noted)
    done = medshot("select", folder(tmp_path / "mine"), *words)
    assert done.status == 0, done.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "model", "model.json"]
    said = " ".join(done.out.split())
    assert "Of 3 candidates, 3 of them tried to the end," in said
    assert "corrected for the choice, expect" in said
    assert f"medshot predict {out} NEW_IMAGES" in said
    page = (out / "report.html").read_text()
    assert "What was tried" in page
    assert str(run) in page
    rows = json.loads(noted.read_text())["tried"]
    assert [row["learner"] for row in rows[:2]] == ["ImageNet linear probe (baseline)", str(run)]
    assert load_predictor(out).known_card().stages[-1]["candidates"] == 3
    assert (out / "tensorboard").is_dir()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "soon"), "'soon' is no time to spend"),
        (("--trials", "0"), "some time, please, and one at least"),
        (("--learner", "nothing"), "no learner, and no folder of a run"),
        (("--learner", "tim"), "tim is transductive"),
        (("--storage", "nothing://x"), "storage nothing://x cannot be opened"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_left(
    medshot: Medshot, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = medshot("select", folder(tmp_path / "mine"), "--out", tmp_path / "model", *words)
    assert done.refused(said), done.err
    assert not (tmp_path / "model").exists()
