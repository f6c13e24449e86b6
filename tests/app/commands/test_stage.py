"""The command of a stage derives from its class: options, help, table, record, folder."""

import json
import re

import pytest
import typer

import medshot
from medshot import Stage, option
from medshot.app.cli import app
from medshot.app.commands.stage import command_of
from medshot.core.errors import ConfigError
from medshot.stages.base import STAGES
from toys.commands import folder

SHARED = {
    "--data": None,
    "--json": None,
    "--out": None,
    "--test": None,
    "--threads": 1,
    "model": None,
}
OPTIONS = {  # with their defaults: what was typed before goes on meaning the same
    "finetune": {
        "--batch": 32,
        "--lr": 0.001,
        "--pull": 1.0,
        "--set": [],
        "--steps": 50,
        "--unseen/--no-unseen": False,
        "--what": None,
    },
    "harden": {
        "--attack": "pgd",
        "--attack-steps": 7,
        "--batch": 16,
        "--epsilon": "4/255",
        "--lr": 0.001,
        "--norm": "linf",
        "--seed": 0,
        "--share": 0.5,
        "--steps": 300,
    },
    "compress": {
        "--distil": None,
        "--lr": 0.001,
        "--prune": None,
        "--quantise": None,
        "--seed": 0,
        "--set": [],
        "--steps": None,
    },
    "fuse": {
        "--cycles": None,
        "--how": "weighted",
        "--lr": None,
        "--steps": None,
    },
}
BOUNDS = {("harden", "--seed"): 0, ("compress", "--steps"): 0}
COMMANDS = typer.main.get_group(app).commands


@pytest.mark.parametrize("name", OPTIONS)
def test_options_keep_their_names_and_defaults(name):
    found = {"/".join([*p.opts, *p.secondary_opts]): p.default for p in COMMANDS[name].params}
    assert found == {**SHARED, **OPTIONS[name]}
    least = {p.opts[0]: p.min for p in COMMANDS[name].params if p.min is not None}
    bounds = {option: n for (command, option), n in BOUNDS.items() if command == name}
    assert least == {"--threads": 1, **bounds}
    required = {p.opts[0] for p in COMMANDS[name].params if p.required}
    assert required == {"model", "--data", "--out"}
    assert all(p.help for p in COMMANDS[name].params)


@pytest.fixture
def brighten():
    """A stage with an option of every kind, registered for one test."""

    class Brighten(Stage):
        """Add to the outputs of a class.

        Example:

            medshot brighten my_model --data my_images/ --out brighter
        """

        name = "brighten"
        outcome = "brighter"

        by: float = option("What is added.", default=0.5, min=0)
        where: int | None = option("A class by number.", default=None, shown="the first")
        only: str = option("On which days.", default="all", choices=("all", "none"))
        twice: bool = option("Once more.", default=False)
        set_: dict[str, int] = option("Further numbers.", default={})

        def run(self, predictor, data, **work):
            """Add."""
            brighter = predictor.freeze()
            for each in (*brighter.parameters(), *brighter.buffers()):
                each.add_(self.by * (1 + self.twice) + sum(self.set_.values()))
            return brighter

    yield Brighten
    del STAGES["brighten"]


def test_a_class_becomes_a_command(medshot, model, tmp_path, brighten):
    shown = medshot("brighten", "--help")
    assert shown.status == 0
    assert "medshot brighten my_model --data" in shown.out
    for word in ("--by", "--where", "--twice", "--set", "NAME=VALUE", "the first", "x>=0"):
        assert word in shown.out
    data, test = (
        folder(tmp_path / "data", (4, 4), first=50),
        folder(tmp_path / "t", (3, 3), first=90),
    )
    out, numbers = tmp_path / "brighter", tmp_path / "n.json"
    words = ("brighten", model, "--data", data, "--set", "a=1", "--set", "b=2", "--by", "30")
    done = medshot(*words, "--twice", "--test", test, "--out", out, "--json", numbers)
    assert done.status == 0, done.err
    assert f"on {test}, with 95 % intervals" in " ".join(done.out.split())
    assert re.search(rf"Next: .*medshot predict {out} NEW_IMAGES --out answers.csv", done.out)
    said = json.loads(numbers.read_text())
    wanted = {"stage": "brighten", "by": 30, "only": "all", "twice": True, "set": {"a": 1, "b": 2}}
    assert {name: said[name] for name in wanted} == wanted
    assert set(said["scores"]) == {"before", "brighter"}
    assert "Then: brighten, by 30" in (out / "README.md").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--by", "-1"), "--by"),
        (("--only", "some"), "value of --only called 'some'.*all, none"),
        (("--set", "a"), "--set takes name=value"),
    ],
)
def test_values_out_of_bounds_leave_nothing(medshot, model, tmp_path, brighten, words, told):
    out, data = tmp_path / "o", folder(tmp_path / "data", (2, 2))
    done = medshot("brighten", model, "--data", data, "--out", out, *words)
    assert done.status == 2
    assert re.search(told, done.err)
    assert list(tmp_path.iterdir()) == [data]


def test_images_on_both_sides_are_refused(medshot, model, tmp_path, brighten):
    data = folder(tmp_path / "data", (2, 2))
    done = medshot("brighten", model, "--data", data, "--test", data, "--out", tmp_path / "o")
    assert done.refused("too good")


def test_a_stage_does_not_take_the_name_of_a_command(medshot):
    class Taken(Stage):
        """No."""

        name = "adapt"

        def run(self, predictor, data, **work):
            """No."""

    try:
        assert medshot("brightne").refused("stage 'adapt'.*rename")
        assert medshot("adapt", "--help").status == 0
    finally:
        del STAGES["adapt"]


def test_an_option_that_every_command_has_is_refused():
    with pytest.raises(ConfigError, match="every stage has --data"):

        class Again(Stage):
            """No."""

            data: str = option("Again.", default="")


def test_the_signature_is_what_the_class_declares(brighten):
    made = command_of(brighten)
    assert made.__name__ == "brighten"
    assert [*made.__annotations__][:5] == ["model", "data", "out", "by", "where"]
    assert made.__annotations__["where"] == int | None
    assert isinstance(medshot.stage("brighten"), brighten)
