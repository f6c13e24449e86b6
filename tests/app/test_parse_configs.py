"""Options of commands out of dataclasses: the same names, defaults and help."""

from dataclasses import dataclass, field, fields

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from medshot import PretrainConfig, TrainConfig
from medshot.app.cli import app
from medshot.app.parse import expand_configs

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
TYPED = {  # what scripts of users hold: no name and no default of these may change
    "train": {
        "--way": 5,
        "--shot": 5,
        "--query": 5,
        "--steps": 1000,
        "--meta-batch": 1,
        "--lr": 1e-3,
        "--halve-every": None,
        "--val-every": 100,
        "--val-episodes": 50,
        "--patience": None,
        "--seed": 0,
        "--device": "auto",
        "--workers": 1,
        "--vectorise": None,
        "--contrast": None,
        "--teacher": None,
        "--adversarial": None,
        "--bf16": False,
        "--channels-last": False,
        "--threads": 1,
    },
    "pretrain": {
        "--objective": "reconstruct",
        "--steps": 1000,
        "--batch": 64,
        "--lr": 1e-3,
        "--judge-every": 100,
        "--patience": None,
        "--seed": 0,
        "--device": "auto",
        "--json": None,
        "--threads": 1,
    },
}


@dataclass(frozen=True)
class Speed:
    how_fast: int = field(default=3, metadata={"help": "Miles an hour."})
    loud: bool | None = field(default=None, metadata={"help": "Heard."})


@pytest.mark.parametrize(
    ("command", "config"), [("train", TrainConfig), ("pretrain", PretrainConfig)]
)
def test_each_field_is_an_option_with_its_default_and_help(command, config):
    shown = {parameter.name: parameter for parameter in COMMANDS[command].params}
    assert "config" not in shown
    for each in fields(config):
        option = shown[each.name]
        assert option.opts == [f"--{each.name.replace('_', '-')}"]
        assert (option.default, option.help) == (each.default, each.metadata["help"])


@pytest.mark.parametrize("command", TYPED)
def test_names_and_defaults_stay(command):
    shown = {option: p.default for p in COMMANDS[command].params for option in p.opts}
    assert {name: shown.get(name, "gone") for name in TYPED[command]} == TYPED[command]


def test_a_command_gets_the_dataclass_made_of_what_was_typed():
    taken, made = [], typer.Typer()

    @made.command()
    @expand_configs
    def go(where: str, speed: Speed = Speed(), wet: bool = False) -> None:
        """Go."""
        taken.append((where, speed, wet))

    ended = CliRunner().invoke(made, ["home", "--how-fast", "5", "--no-loud"])
    assert ended.exit_code == 0, ended.output
    assert CliRunner().invoke(made, ["away", "--wet"]).exit_code == 0
    assert taken == [("home", Speed(5, loud=False), False), ("away", Speed(), True)]
    said = " ".join(CliRunner().invoke(made, ["--help"]).output.split())
    assert "Go." in said
    assert "Miles an hour." in said
