"""Learners that live outside the package: a file of one's own, and a package that is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import medshot
import toys
from medshot.core import plugins
from medshot.core.errors import ConfigError, SaveError
from medshot.core.predictor import versions
from medshot.training.run import open_run
from toys.commands import SMALL, folder

LEARNER = '''"""The nearest mean, by angle."""

import torch

from medshot import Classification, part
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Linear


@part("predictor", "{name}")
class Angle(Linear):
    """A linear head with a name of its own."""


@register("{name}")
class Cosine(OnFeatures):
    """Cosine of the angle to the mean of a class.

    Source: this test.
    """

    source = "this test"
    supports = (Classification,)

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def fit(self, encoder, z, y, task):
        weight = torch.stack([z[y == k].mean(0) for k in range(task.n_outputs)], 1)
        return Angle(encoder, weight, weight.new_zeros(task.n_outputs), unit=True)
'''


def _run(*words: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    known = [str(path)] if path else []
    known += [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    env = os.environ | {"PYTHONPATH": os.pathsep.join(known), "COLUMNS": "200"}
    command = [sys.executable, "-m", "medshot", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_a_file_of_ones_own_is_used_by_every_command_and_remembered(tmp_path: Path) -> None:
    mine = tmp_path / "my_learner.py"
    mine.write_text(LEARNER.format(name="angle-of-a-file"))
    images = folder(tmp_path / "set", (4, 4))
    adapted = _run(
        *("adapt", images, "--learner", "angle-of-a-file", "--out", tmp_path / "model"),
        *("--use", mine, *SMALL),
    )
    assert adapted.returncode == 0, adapted.stderr
    asked = ("predict", tmp_path / "model", images, "--out", tmp_path / "answers.csv")
    refused = _run(*asked)
    assert refused.returncode == 2
    assert f"--use {mine}" in refused.stderr
    done = _run("--use", mine, *asked)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "answers.csv").exists()


PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "angles"
version = "1.0"

[project.entry-points."medshot.learners"]
angle = "angles.learner"
broken = "angles.no_such_module"

[project.entry-points."medshot.encoders"]
rows = "angles.rest"

[project.entry-points."medshot.tasks"]
sides = "angles.rest:Sides"

[project.entry-points."medshot.readers"]
sides = "angles.rest"

[project.entry-points."medshot.stages"]
still = "angles.rest:Still"
"""

REST = '''"""An encoder, a kind of task, a reader and a method of fine-tuning."""

from medshot import Classification, Encoder, part
from medshot.data.readers.registry import reads
from medshot.stages.finetune import FineTuneMethod


@part("encoder", "rows")
class Rows(Encoder):
    """The mean of each row."""

    source = "this test"

    def __init__(self, *, channels=1, size=16, scaling="unit"):
        super().__init__(channels, size, scaling)
        self.n_features = channels * size

    def forward(self, x):
        return self.scaled(x).mean(-1).flatten(1)


class Sides(Classification):
    """Left or right."""

    kind = "sides"


@reads("sides", where=lambda folder: False)
def sides(folder, channels, size):
    """No such folder."""


class Still(FineTuneMethod):
    """Nothing below the head moves."""

    name = "still"
    source = "this test"

    def moves(self, layers):
        return iter(())
'''

ASK = """
import medshot
from medshot.core.task import task_of
from medshot.data.readers.registry import reader_of
from medshot.stages.finetune.methods import methods

found = medshot.encoder("rows"), task_of("sides", 2), reader_of("sides"), methods()["still"]
print(*(getattr(each, "__module__") for each in found))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a small package with entry points of every group is installed."""
    source = tmp_path_factory.mktemp("source")
    (source / "angles").mkdir()
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "angles" / "__init__.py").write_text("")
    (source / "angles" / "learner.py").write_text(LEARNER.format(name="angle-of-a-package"))
    (source / "angles" / "rest.py").write_text(REST)
    place = tmp_path_factory.mktemp("site")
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--quiet")
    words = ("-m", "pip", "install", *offline, "--target", str(place), str(source))
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


def test_a_learner_of_an_installed_package_works_in_the_commands(
    site: Path, tmp_path: Path
) -> None:
    listed = _run("learners", path=site)
    assert "angle-of-a-package" in listed.stdout
    assert "angles.no_such_module" in listed.stderr
    images = folder(tmp_path / "set", (4, 4))
    words = ("adapt", images, "--learner", "angle-of-a-package", "--out", tmp_path / "model")
    adapted = _run(*words, *SMALL, path=site)
    assert adapted.returncode == 0, adapted.stderr
    asked = ("predict", tmp_path / "model", images, "--out", tmp_path / "answers.csv")
    refused = _run(*asked)
    assert refused.returncode == 2
    assert "install the package: angles 1.0" in refused.stderr
    done = _run(*asked, path=site)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "answers.csv").exists()


def test_encoders_tasks_readers_and_methods_of_an_installed_package_are_found(site: Path) -> None:
    known = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(known)}
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, env=env, check=False
    )
    assert done.stdout.split() == ["angles.rest"] * 4, done.stderr


@pytest.mark.parametrize(
    ("what", "text", "words"),
    [
        ("absent.py", None, "no such file"),
        ("broken.py", "1 / 0", "ZeroDivisionError"),
        ("no.such.module", None, "ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, what: str, text: str | None, words: str
) -> None:
    place = tmp_path / what
    if text is not None:
        place.write_text(text)
    named = str(place) if what.endswith(".py") else what
    with pytest.raises(ConfigError, match=words) as caught:
        medshot.use(named)
    assert what in str(caught.value)


def test_files_of_one_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "mine.py"
        file.write_text(f"import os\nos.environ['MEDSHOT_USED_{name.upper()}'] = 'yes'\n")
        medshot.use(file)
        assert os.environ.pop(f"MEDSHOT_USED_{name.upper()}") == "yes"
        assert str(file) in plugins.USED
        plugins.USED.remove(str(file))


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> str:
    """As if somebody's module had been used."""
    monkeypatch.setattr(plugins, "USED", ["their stage"])
    return "their stage"


def test_models_runs_and_encoders_note_what_was_used(tmp_path: Path, used: str) -> None:
    learner = medshot.build("prototypical", encoder=toys.conv4())
    learner.adapt(toys.dataset()).save(tmp_path / "model")
    open_run(learner, {"train": {}, "val": {}, "settings": {}}, tmp_path / "run")
    medshot.save_encoder(toys.conv4(), tmp_path / "encoder")
    for file in ("model/predictor.json", "run/run.json", "encoder/encoder.json"):
        assert json.loads((tmp_path / file).read_text())["used"] == [used]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ((), r"type `medshot --use 'their stage'` before .* medshot\.use\('their stage'\)"),
        (("their stage",), "If this is from your own code, name that too: --use"),
    ],
)
def test_a_model_with_an_unknown_part_says_what_to_type(
    tmp_path: Path, used: str, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], said: str
) -> None:
    learner = medshot.build("prototypical", encoder=toys.conv4())
    file = learner.adapt(toys.dataset()).save(tmp_path / "model") / "predictor.json"
    about = json.loads(file.read_text())
    about["predictor"]["part"] = "predictor/theirs"
    file.write_text(json.dumps(about))
    monkeypatch.setattr(plugins, "USED", list(there))
    with pytest.raises(SaveError, match=rf"predictor\.json.*{said}.*never run because a file"):
        medshot.load_predictor(tmp_path / "model")


def test_a_source_checkout_that_is_not_installed_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise plugins.PackageNotFoundError(name)

    monkeypatch.setattr(plugins, "version", missing)
    assert medshot.__version__ == "unknown"
    assert versions()["medshot"] == "unknown"
