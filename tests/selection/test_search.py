"""The search: its queue first, within its limits, gone on with after a kill, with others beside."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.selection import Configuration
from medshot.selection import choice as tried_module
from medshot.selection import search as module
from medshot.selection.choice import TrialResult, best_of
from medshot.selection.cross_validator import CrossValidator, Evidence
from medshot.selection.search import (
    TRIED,
    WORKER,
    Limits,
    Place,
    opened,
    read,
    sampler,
    search,
    studies_in,
    take_up,
    trial_json,
)
from toys.candidates import GUESS, LDA, PROBE, QUEUE, SPACE, bench, made

Found = list[tuple[Configuration, TrialResult]]


def _searched(trials: int = 6, **options: object) -> Found:
    return search(bench(), SPACE, made(), QUEUE, Limits(trials=trials), **options)


def _said(found: Found) -> list[tuple[str, dict[str, float]]]:
    return [(one.key, tried.scores) for one, tried in found]


def test_the_queue_comes_first_and_then_others_and_the_best_is_there():
    found = _searched(8)
    assert [one for one, _ in found[:2]] == QUEUE
    assert len({one.key for one, _ in found}) == len(found) == 8
    assert {one.learner for one, _ in found} == {GUESS, PROBE, LDA}
    best = best_of([tried for _, tried in found])
    assert found[0][1].scores["balanced accuracy"] == 0.5
    assert found[best or 0][1].scores["balanced accuracy"] > 0.9


def test_the_same_seed_finds_the_same_and_another_seed_another():
    assert _said(_searched(seed=3)) == _said(_searched(seed=3))
    assert [k for k, _ in _said(_searched(seed=3))] != [k for k, _ in _said(_searched(seed=4))]


def test_a_killed_search_goes_on_as_if_it_had_not_been(tmp_path: Path):
    place = Place(f"sqlite:///{tmp_path / 'study.db'}", worker="w", scalars=tmp_path)
    built = []

    def dies(wanted: Configuration) -> Learner:
        built.append(wanted.key)
        if len(built) == 3:
            raise KeyboardInterrupt
        return made()(wanted)

    with pytest.raises(KeyboardInterrupt):
        search(bench(), SPACE, dies, QUEUE, Limits(trials=4), place=place)
    again = search(bench(), SPACE, dies, QUEUE, Limits(trials=4), place=place)
    assert len(built) == 5, "two were there already, the one that was cut is tried again"
    assert built[2] == built[3]
    whole = _searched(4)
    assert _said(again) == _said(whole)
    assert all(tried.evidence is not None for _, tried in again)
    assert list((tmp_path / "tensorboard").iterdir())


def test_time_is_over_within_a_fold_and_the_first_is_tried_to_the_end(
    monkeypatch: pytest.MonkeyPatch,
):
    now, real = [0.0], CrossValidator.fold_by_fold
    for file in (module, tried_module):
        monkeypatch.setattr(file, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def a_second_each(
        self: CrossValidator, learner: Learner, kept: list[Any] | None = None
    ) -> Iterator[Evidence]:
        for rows in real(self, learner, kept):
            now[0] += 1
            yield rows

    monkeypatch.setattr(CrossValidator, "fold_by_fold", a_second_each)
    found = search(bench(), SPACE, made(), QUEUE, Limits(seconds=6.5))
    assert found[0][1].whole
    assert found[1][1].why == "no time left after 1 of 5 folds"
    assert now[0] == 7, "five for the first, one for the second, and one begun in time"
    found = search(bench(), SPACE, made(), QUEUE, Limits(seconds=0.5))
    assert [tried.whole for _, tried in found] == [True]


def test_what_fails_is_a_row_and_the_rest_goes_on():
    def build(wanted: Configuration) -> Learner:
        if wanted.learner == PROBE:
            raise RuntimeError("did not converge")
        return made()(wanted)

    found = search(bench(), SPACE, build, QUEUE, Limits(trials=5))
    assert found[1][1].why == "failed: did not converge"
    assert any(one.learner == LDA and tried.whole for one, tried in found)


def test_where_there_is_nothing_else_it_ends():
    only = [Configuration(GUESS)]
    space = type(SPACE)(SPACE.families[GUESS])
    assert len(search(bench(), space, made(), only, Limits(trials=5))) == 1


def test_it_is_watched():
    seen = []

    @contextmanager
    def watch(total: int, done: int):
        seen.append((total, done))
        yield lambda step, row: seen.append((step, row["tried"], "best" in row))

    _searched(2, watch=watch)
    assert seen == [(2, 0), (1, 1, True), (2, 2, True)]


def _work(storage: str, worker: str) -> None:
    search(bench(), SPACE, made(), QUEUE, Limits(trials=6), place=Place(storage, "s", worker))


@pytest.mark.parametrize("kind", ["sqlite:///{}/study.db", "{}/study.log"])
def test_two_workers_share_one_study(kind: str, tmp_path: Path):
    storage = kind.format(tmp_path)
    context = get_context("fork")
    workers = [context.Process(target=_work, args=(storage, name)) for name in "ab"]
    for one in workers:
        one.start()
    for one in workers:
        one.join(60)
    assert [one.exitcode for one in workers] == [0, 0]
    place = Place(storage, "s", "c")
    found = search(bench(), SPACE, made(), QUEUE, Limits(trials=1), place=place)
    assert len(found) >= 5  # of 6: both may have run the first one, which counts once
    assert {one.learner for one, _ in found} >= {GUESS, PROBE}


# What is written of a trial is read again, to the bit, and holds no pickle.


def _again(tried: TrialResult) -> TrialResult:
    text = json.loads(json.dumps(trial_json(tried)))
    return read(SimpleNamespace(user_attrs={TRIED: text, "seconds": tried.seconds}))


def test_evidence_comes_back_with_its_types():
    evidence = np.random.default_rng(0).random((5, 2)), np.arange(5)
    again = _again(TrialResult({"accuracy": 0.1}, 2.5, evidence=evidence))
    assert again.evidence is not None
    for one, other in zip(evidence, again.evidence, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert (again.scores, again.seconds, again.why) == ({"accuracy": 0.1}, 2.5, "")


def test_what_was_stopped_has_none():
    again = _again(TrialResult({}, 0.1, "failed: x"))
    assert again.evidence is None
    assert again.why == "failed: x"


# The door to Optuna: what is kept, what is taken up again, and what cannot be opened.


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
        pytest.raises(ConfigError, match="cannot be opened"),
        opened(wrong, "", 5),
    ):
        pass


def test_a_file_that_is_no_database_is_said(tmp_path: Path):
    (tmp_path / "study.db").write_text("not a database, but long enough to look like one" * 20)
    with pytest.raises(ConfigError, match="cannot be opened"):
        studies_in(f"sqlite:///{tmp_path / 'study.db'}")


def test_without_optuna_the_line_to_type_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r'"medshot\[select\]"'), opened(None, "", 5):
        pass
