"""The stage of docs/add-a-stage.md works in Python, as a command, and by the contract."""

import json
import re
from pathlib import Path

import pytest

import medshot
from medshot.core import plugins
from medshot.core.errors import ConfigError
from medshot.stages.base import STAGES
from medshot.testing import check_stage
from toys.commands import SMALL, command, folder

PAGE = (Path(__file__).parents[1] / "docs/add-a-stage.md").read_text(encoding="utf-8")
FILE, IN_PYTHON, TEST = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder as the page has it: the file, a model, and images of others."""
    place = tmp_path_factory.mktemp("temper")
    (place / "temper.py").write_text(FILE)
    folder(place / "mine", (4, 4))
    folder(place / "held_out", (6, 6), first=20)
    folder(place / "others", (6, 6), first=40)
    made = ("adapt", place / "mine", "--learner", "linear-probe", "--out", place / "my_model")
    assert command(*made, *SMALL) == 0
    yield place
    STAGES.pop("temper", None)
    plugins.USED.clear()


def test_as_a_command(place, capfd):
    shared = ("--use", place / "temper.py", "temper")
    assert command(*shared, "--help") == 0
    told = capfd.readouterr().out
    for word in ("--highest", "--tries", "--json", "held_out/ --test others/", "101", "x>=1"):
        assert word in told
    assert command("--use", place / "temper.py", "--help") == 0
    assert "Scale a model's probabilities" in capfd.readouterr().out
    words = (place / "my_model", "--data", place / "held_out", "--test", place / "others")
    out, file = place / "tempered", place / "numbers.json"
    assert command(*shared, *words, "--tries", "11", "--out", out, "--json", file) == 0
    told = capfd.readouterr().out
    for line in (
        r"tempered and before are (the same|not distinguishable)",
        rf"Model: +{out}",
        rf"Next: .*predict {out}",
    ):
        assert re.search(line, " ".join(told.split())), told
    assert json.loads(file.read_text())["scores"]["tempered"]["difference"]["mean"] == 0
    stage = medshot.load_predictor(out).known_card().stages[-1]
    assert 0.1 <= stage["temperature"] <= 10
    assert command(*shared, *words, "--tries", "1", "--out", place / "other") == 2
    assert not (place / "other").exists()
    assert command(*shared, *words, "--out", out) == 2
    shown = words[:-1]
    assert command(*shared, *shown, place / "held_out", "--out", place / "other") == 2
    assert "too good" in capfd.readouterr().err


def test_in_python(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    exec(IN_PYTHON, {"medshot": medshot})
    assert "temperature" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"highest=0\.5"):
        medshot.stage("temper", highest=0.5)
    with pytest.raises(ConfigError, match="Did you mean 'highest'"):
        medshot.stage("temper", hihgest=2.0)


def test_by_the_contract(place):
    medshot.use(place / "temper.py")
    names: dict = {}
    exec(TEST, names)
    names["test_temper"]()
    with pytest.raises(ConfigError, match="Did you mean 'temper'"):
        check_stage("tempr")
