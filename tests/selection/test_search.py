"""The search: its queue first, within its limits, gone on with after a kill, with others beside."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import pytest

from medshot.core.learner import Learner
from medshot.selection import Configuration
from medshot.selection import choice as tried_module
from medshot.selection import search as module
from medshot.selection.choice import TrialResult, best_of
from medshot.selection.cross_validator import CrossValidator, Evidence
from medshot.selection.search import Limits, Place, search
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

    def a_second_each(self: CrossValidator, learner: Learner) -> Iterator[Evidence]:
        for rows in real(self, learner):
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
    assert len(found) >= 6
    assert {one.learner for one, _ in found} >= {GUESS, PROBE}
