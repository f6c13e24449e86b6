"""The plan of an evaluation and its record."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import toys
from medshot.api import episodes
from medshot.api.episodes import _check, evaluate_episodes, form_of, planned, score_episodes
from medshot.api.resolve import run_or_learner
from medshot.core.errors import ConfigError, LeakError
from medshot.core.table import nan_to_null
from medshot.evaluation.protocols import Protocol, protocols
from medshot.evaluation.statistics import mean_interval
from medshot.training.run import load_run
from toys.commands import folder

NUMBERS = {"way": None, "shot": 2, "query": 2, "episodes": 3, "seed": 0}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Protocol:
    """A protocol of three episodes on a made-up set."""
    known = protocols()["medshot26/covid_ct/1s"]
    dataset = toys.dataset(3, 6, channels=3, size=16)
    made = replace(known, read=lambda _root, _part: dataset, episodes=3, query=2, size=16)
    monkeypatch.setattr(episodes, "named_protocol", lambda _: made)
    monkeypatch.setenv("MEDSHOT_DATA", ".")
    return made


def test_the_record_holds_what_is_needed_to_get_it_again(tmp_path: Path) -> None:
    plan = planned(None, folder(tmp_path / "a"), **NUMBERS)
    learner = run_or_learner("prototypical", "conv4", ["encoder.width=8", "encoder.size=16"])
    found = score_episodes(plan, [learner])
    results, record = found.results, nan_to_null(found.to_json())
    assert list(results) == [
        *("prototypical on conv4", "linear-probe on conv4"),
        *("ImageNet linear probe", "linear-probe on pixels"),
    ]
    assert record["episodes"]["fingerprint"] == plan.sampler.fingerprint(3)
    assert record["episodes"]["count"] == 3
    assert record["origin"] == "untrained"
    assert record["recipe"]["part"] == "learner/prototypical"
    for other in list(results.values())[1:]:
        mine, theirs = (
            r.scores["balanced accuracy"] for r in (results["prototypical on conv4"], other)
        )
        expected = mean_interval(np.array(mine) - np.array(theirs))
        assert record["minus_baseline"][other.learner] == vars(expected)
    json.dumps(record, allow_nan=False)


def test_one_episode_has_no_interval_which_json_calls_null(tmp_path: Path) -> None:
    plan = planned(None, folder(tmp_path / "a"), **{**NUMBERS, "episodes": 1})
    record = nan_to_null(score_episodes(plan, [run_or_learner("lda", "pixels", [])]).to_json())
    assert record["metrics"]["accuracy"]["low"] is None
    json.dumps(record, allow_nan=False)


def test_a_protocol_fixes_numbers_and_form(tiny: Protocol) -> None:
    assert form_of("any") == {"channels": 3, "size": 16, "scaling": "standard"}
    assert form_of(None) == {}
    learner = run_or_learner("prototypical", "conv4", ["encoder.width=8"], **form_of("any"))
    plan = planned("any", None, **NUMBERS)
    assert plan.episodes == 3
    assert plan.sampler.way == 3
    record = score_episodes(plan, [learner]).to_json()
    assert record["protocol"] == tiny.name
    assert record["source"] == tiny.source
    assert record["scaling"] == "standard"


@pytest.mark.parametrize("other", ["scaling=unit", "size=20", "channels=1"])
def test_an_encoder_of_another_form_is_of_no_such_protocol(tiny: Protocol, other: str) -> None:
    learner = run_or_learner("lda", "pixels", [f"encoder.{other}"], **form_of("any"))
    wanted = f"{tiny.name} wants.*--set encoder.{other.partition('=')[0]}="
    with pytest.raises(ConfigError, match=wanted):
        _check(planned("any", None, **NUMBERS), "lda", learner)


def test_what_a_run_has_learned_from_is_refused(run: Path, taught: Path, tmp_path: Path) -> None:
    few = {"shot": 2, "query": 2, "episodes": 3}
    with pytest.raises(LeakError, match="meta-trained on"):
        evaluate_episodes(run, data=taught, **few)
    with pytest.raises(LeakError, match="12 of the 12 images of copied"):
        evaluate_episodes(run, data=folder(tmp_path / "copied"), **few)
    found = evaluate_episodes(run, data=folder(tmp_path / "other", first=100), **few)
    assert list(found.results)[:2] == [
        "prototypical on conv4 (meta-trained)",
        "linear-probe on conv4 (meta-trained)",
    ]
    assert load_run(run).about["train"]["hash"]


def test_several_learners_are_paired_on_the_same_episodes(tmp_path: Path) -> None:
    words = {"data": folder(tmp_path / "a"), "encoder": "pixels", "shot": 2, "episodes": 3}
    found = evaluate_episodes("lda", "ridge", query=2, **words)
    assert list(found.results)[:2] == ["lda on pixels", "ridge on pixels"]
    assert "ridge on pixels" in found.to_json()["minus_baseline"]
    assert f"hash {found.fingerprint}" in str(found)
    with pytest.raises(ConfigError, match="--protocol"):
        evaluate_episodes("lda")
