"""Options of commands out of dataclasses: the same names, defaults and help."""

from dataclasses import dataclass

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from medshot import PretrainConfig, TrainConfig, declared_options, option
from medshot.app.cli import app
from medshot.app.parse import expand_configs

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Speed:
    how_fast: int = option("Miles an hour.", default=3, min=1)
    loud: bool | None = option("Heard.", default=None)


@pytest.mark.parametrize(
    ("command", "config"), [("train", TrainConfig), ("pretrain", PretrainConfig)]
)
def test_each_field_is_an_option_with_its_default_and_help(command, config):
    shown = {parameter.name: parameter for parameter in COMMANDS[command].params}
    assert "config" not in shown
    for each in declared_options(config):
        found = shown[each.name]
        assert found.opts == [each.word] == [f"--{each.name.replace('_', '-')}"]
        assert (found.default, found.help) == (each.default, each.help)


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
