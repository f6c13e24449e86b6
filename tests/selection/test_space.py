"""Configurations and the parameters of a trial are two ways to say one thing."""

from itertools import combinations

import numpy as np
import optuna
import pytest

from medshot.core.errors import ConfigError
from medshot.presenters import kind_called
from medshot.selection import Categorical, FloatRange, LearnerFamily
from medshot.selection.space import (
    FINETUNE,
    METHOD,
    Configuration,
    ScoreTable,
    Space,
    packaged_table,
    score_table,
)

PROBE = LearnerFamily(
    "probe", "pixels", {"c": FloatRange(0.1, 10.0, (1.0, 5.0)), "reduce": Categorical((2, 4))}
)
DESCENT = LearnerFamily("finetune", "conv4", {"steps": FloatRange(10, 100, (50,)), "batch": 8})
SPACE = Space(PROBE, DESCENT, LearnerFamily("runs/proto"))


def test_what_is_tried_first_is_the_product_of_the_starts():
    found = [dict(start.settings) for start in PROBE.starts()]
    assert found == [{"c": 1.0, "reduce": 2}, {"c": 5.0, "reduce": 2}]
    assert [start.settings for start in DESCENT.starts()] == [{"steps": 50, "batch": 8}]


def test_parameters_are_made_of_a_configuration_and_back():
    wanted = PROBE.at({"c": 0.3, "reduce": 4})
    parameters = SPACE.parameters(wanted)
    assert parameters == {METHOD: "probe on pixels", "probe on pixels: c": 0.3} | {
        "probe on pixels: reduce": 4
    }
    again = SPACE.suggested(optuna.trial.FixedTrial(parameters))
    assert again == wanted
    assert again.key == wanted.key


@pytest.mark.parametrize(
    "outside",
    [
        Configuration("probe", "pixels", {"c": 11.0, "reduce": 2}),
        Configuration("probe", "pixels", {"c": 1.0, "reduce": 3}),
        Configuration("probe", "pixels", {"c": 1.0}),
        Configuration("finetune", "conv4", {"steps": 50, "batch": 4}),
        Configuration("another"),
    ],
    ids=["above", "no-such-value", "missing", "not-the-fixed-one", "no-such-family"],
)
def test_what_lies_outside_has_no_parameters(outside: Configuration):
    assert SPACE.parameters(outside) is None


def test_what_is_drawn_lies_inside():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    drawn = [SPACE.suggested(study.ask()) for _ in range(30)]
    assert {one.name for one in drawn} == set(SPACE.families)
    assert all(SPACE.parameters(one) is not None for one in drawn)
    steps = [one.settings["steps"] for one in drawn if one.learner == "finetune"]
    assert all(isinstance(n, int) for n in steps)


def test_names_are_as_one_types_them():
    assert PROBE.at({"c": 0.12345, "reduce": 4}).words == "c=0.123 reduce=4"
    assert Configuration("runs/proto").name == "runs/proto"
    tuned = LearnerFamily("probe", "conv4", {FINETUNE: Categorical(("lora", "all"))})
    assert tuned.name == tuned.at({FINETUNE: "all"}).name == "probe on conv4, fine-tuned"


def test_two_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="runs/a would be tried twice"):
        Space(LearnerFamily("runs/a"), LearnerFamily("runs/a"), PROBE)


# A portfolio is built greedily, each configuration adding most to those before it.


ONES = tuple(Configuration(name) for name in "abcd")
SETS, SHOTS = ("one", "one", "two", "two", "three"), (5, 20, 5, 20, 5)
SCORES = np.array(
    [
        [0.70, 0.90, 0.10, 0.80],
        [0.10, 0.10, 0.90, 0.10],
        [0.75, 0.10, 0.90, 0.80],
        [0.10, 0.10, 0.90, 0.10],
        [0.70, 0.90, 0.10, 0.80],
    ]
)
TABLE = ScoreTable(ONES, SETS, SHOTS, SCORES)


def _names(found: list[Configuration]) -> str:
    return "".join(one.learner for one in found)


def test_first_what_is_good_everywhere_then_what_adds_to_it():
    assert _names(TABLE.portfolio(4, shot=5)) == "dbca"
    assert _names(TABLE.portfolio(2, shot=5)) == "db"


def test_a_second_is_never_worse_than_any_other_beside_the_first():
    lost = SCORES[[0, 2, 4]].max(1, keepdims=True) - SCORES[[0, 2, 4]]
    first, second = ("abcd".index(name) for name in _names(TABLE.portfolio(2, shot=5)))
    pairs = [lost[:, list(pair)].min(1).mean() for pair in combinations(range(4), 2)]
    ours = lost[:, [first, second]].min(1).mean()
    assert ours == min(lost[:, [first, other]].min(1).mean() for other in range(4))
    assert ours <= sorted(pairs)[2]


def test_rows_of_the_nearest_number_of_images_are_looked_at():
    assert _names(TABLE.portfolio(1, shot=30, without=["three"])) == "c"
    assert _names(TABLE.portfolio(1, shot=9, without=["three"])) == "d"
    assert _names(TABLE.portfolio(1, shot=0.5, without=["three"])) == "d"


def test_of_no_set_nothing_is_known():
    assert TABLE.portfolio(3, shot=5, without=["one", "two", "three"]) == []


def test_a_table_is_read_from_its_json():
    rows = [{"set": "one", "shot": 5, "scores": [0.5, 0.6]}]
    told = [{"learner": "a", "encoder": "b", "settings": {"c": 1}}, {"learner": "d"}]
    table = score_table({"configurations": told, "rows": rows})
    assert table.configurations[0].name == "a on b"
    assert _names(table.portfolio(1, shot=5)) == "d"


@pytest.mark.parametrize("kind", sorted(packaged_table()))
def test_what_is_stored_can_be_searched_from(kind: str):
    table, families = packaged_table()[kind], kind_called(kind).families
    space = Space(*families)
    assert all(space.parameters(one) is not None for one in table.configurations)
    assert table.scores.shape == (len(table.sets), len(table.configurations))
    assert np.isfinite(table.scores).all()
    assert len(table.portfolio(8, shot=10)) == 8
