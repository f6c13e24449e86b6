"""From a name, a run's folder and `--set` to a learner."""

import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from medshot.api.resolve import automatic, describe, named_learner, parse_options, run_or_learner
from medshot.core.errors import ConfigError
from medshot.core.registry import recipe
from medshot.learners.registry import build
from toys import conv4


def test_options_go_to_the_learner_and_to_its_encoder() -> None:
    given = ["distance=mean-squared", "encoder.width=8", "encoder.size=16"]
    options = recipe(named_learner("prototypical", "conv4", given, size=32, channels=1))["options"]
    assert options["distance"] == "mean-squared"
    assert options["encoder"]["options"]["width"] == 8
    assert options["encoder"]["options"]["size"] == 16, "what is typed goes before the protocol"
    assert options["encoder"]["options"]["channels"] == 1


def test_values_are_json_or_text() -> None:
    given = ["a=1", "b=0.5", "c=null", "d=None", "e=mean", "f=a=b", "g=True", "h-i=[1, 2]"]
    read = {"a": 1, "b": 0.5, "c": None, "d": None, "e": "mean", "f": "a=b", "g": True}
    assert parse_options(given) == {**read, "h_i": [1, 2]}


@pytest.mark.parametrize("pair", ["width", "=3", ""])
def test_an_option_is_name_and_value(pair: str) -> None:
    with pytest.raises(ConfigError, match="name=value"):
        parse_options([pair])


@pytest.mark.parametrize(
    ("name", "encoder", "given", "told"),
    [
        ("prototypcal", "conv4", [], "Did you mean 'prototypical'"),
        ("prototypical", "conv5", [], "Did you mean 'conv4'"),
        ("maml", "conv4", ["step=3"], "Did you mean 'steps'"),
        ("maml", "conv4", ["encoder=1"], "no option of 'maml' called 'encoder'"),
        ("maml", "conv4", ["encoder.widht=8"], "Did you mean 'width'"),
        ("maml", "conv4", ["lr=fast"], "lr, is float, not 'fast'"),
        ("maml", "conv4", ["steps=1.5"], "steps, is int, not 1.5"),
        ("maml", "conv4", ["steps=true"], "steps, is int, not True"),
        ("maml", "conv4", ["encoder.width=wide"], "width, is int, not 'wide'"),
        ("maml", "conv4", ["encoder.width=-1"], "Change the --set options"),
        ("maml", "conv4", ["encoder.size=2"], "16 or more"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    name: str, encoder: str, given: list[str], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        named_learner(name, encoder, given)


def test_every_encoder_can_be_named_by_who_has_imported_none() -> None:
    code = "from medshot.api.resolve import named_learner; named_learner('blob', 'intensities', [])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_whole_numbers_are_numbers() -> None:
    assert recipe(named_learner("maml", "pixels", ["lr=1"]))["options"]["lr"] == 1


def test_a_run_has_its_encoder_and_options(run: Path) -> None:
    assert run_or_learner(str(run), None, []).origin.startswith("meta-trained")
    for more in ({"encoder": "pixels", "options": []}, {"encoder": None, "options": ["lr=1"]}):
        with pytest.raises(ConfigError, match="leave --encoder and --set out"):
            run_or_learner(str(run), **more)


def test_a_folder_that_is_no_run_is_told_from_a_name_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a learner"):
        run_or_learner(str(tmp_path), None, [])
    with pytest.raises(ConfigError, match=r"no folder of a run.*'runs/proto'"):
        run_or_learner("runs/proto", None, [])


def test_auto_takes_no_options() -> None:
    with pytest.raises(ConfigError, match="leave --set out"):
        automatic(None, ["c=1"])


def test_a_learner_is_described_as_one_types_it() -> None:
    learner = build("linear-probe", encoder=conv4())
    assert describe(learner) == "linear-probe on conv4"
    learner.origin = "meta-trained on x"
    assert describe(learner) == "linear-probe on conv4 (meta-trained)"
    assert describe(build("lda", encoder=nn.Flatten())) == "lda on Flatten"
