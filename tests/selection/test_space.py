"""Configurations and the parameters of a trial are two ways to say one thing."""

import optuna
import pytest

from medshot.core.errors import ConfigError
from medshot.selection import Categorical, Configuration, Family, FloatRange
from medshot.selection.space import FINETUNE, METHOD, Space

PROBE = Family(
    "probe", "pixels", {"c": FloatRange(0.1, 10.0, (1.0, 5.0)), "reduce": Categorical((2, 4))}
)
DESCENT = Family("finetune", "conv4", {"steps": FloatRange(10, 100, (50,)), "batch": 8})
SPACE = Space(PROBE, DESCENT, Family("runs/proto"))


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
    tuned = Family("probe", "conv4", {FINETUNE: Categorical(("lora", "all"))})
    assert tuned.name == tuned.at({FINETUNE: "all"}).name == "probe on conv4, fine-tuned"


def test_two_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="runs/a would be tried twice"):
        Space(Family("runs/a"), Family("runs/a"), PROBE)
