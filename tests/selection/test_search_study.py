"""The door to Optuna: what is kept, what is taken up again, and what cannot be opened."""

import sys
from pathlib import Path

import pytest

from medshot.core.errors import ConfigError
from medshot.selection.search import WORKER, opened, sampler, studies_in, take_up


@pytest.fixture(params=["sqlite", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'study.db'}"
    return str(tmp_path / "study.log")


def test_a_study_is_kept_and_goes_on(storage: str):
    for i in range(2):
        with opened(storage, "one", 5) as study:
            trial = study.ask()
            study.tell(trial, trial.suggest_float("x", 0, 1))
            assert len(study.trials) == i + 1
    assert studies_in(storage) == ["one"]


def test_what_a_killed_worker_was_at_is_queued_again_and_its_seconds_count(storage: str):
    with opened(storage, "one", 5) as study:
        assert take_up(study, "w", [{"x": 0.25}, {"x": 0.5}]) == 0
        done, cut, other = study.ask(), study.ask(), study.ask()
        for trial, worker in ((done, "w"), (cut, "w"), (other, "v")):
            trial.set_user_attr(WORKER, worker)
            trial.suggest_float("x", 0, 1)
        done.set_user_attr("seconds", 7.0)
        study.tell(done, 1.0)
    with opened(storage, "one", 5) as study:
        assert take_up(study, "w", [{"x": 0.25}, {"x": 0.5}]) == 7.0
        assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "RUNNING", "WAITING"]
        assert study.ask().suggest_float("x", 0, 1) == cut.params["x"] == 0.5


def test_a_draw_is_the_same_whenever_it_is_made():
    def drawn(*at: int) -> float:
        with opened(None, "one", 5) as study:
            study.sampler = sampler(*at)
            return study.ask().suggest_float("x", 0, 1)

    assert drawn(0, 3, 0, 0) == drawn(0, 3, 0, 0)
    assert len({drawn(*at) for at in ((0, 3, 0, 0), (1, 3, 0, 0), (0, 4, 0, 0), (0, 3, 1, 0))}) == 4


@pytest.mark.parametrize("wrong", ["nothing://x", "sqlite:////no/such/place/study.db"])
def test_what_cannot_be_opened_is_said(wrong: str):
    with (
        pytest.raises(ConfigError, match=r"cannot be opened .* journal file"),
        opened(wrong, "", 5),
    ):
        pass


def test_a_file_that_is_no_database_is_said(tmp_path: Path):
    (tmp_path / "study.db").write_text("not a database, but long enough to look like one" * 20)
    with pytest.raises(ConfigError, match="cannot be opened"):
        studies_in(f"sqlite:///{tmp_path / 'study.db'}")


def test_without_optuna_the_line_to_type_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r'pip install "medshot\[select\]"'), opened(None, "", 5):
        pass
