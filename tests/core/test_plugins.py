"""Learners that live outside the package: a file of one's own, and a package that is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import medshot
from medshot.core import plugins
from medshot.core.errors import ConfigError, SaveError
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


def test_a_package_that_is_installed_is_found_by_its_entry_point(tmp_path: Path) -> None:
    site = tmp_path / "site"
    about = site / "angles-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "angles.py").write_text(LEARNER.format(name="angle-of-a-package"))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: angles\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[medshot.learners]\nangle = angles\nbroken = no_such_module\n"
    )
    images = folder(tmp_path / "set", (4, 4))
    listed = _run("learners", path=site)
    assert "angle-of-a-package" in listed.stdout
    assert "no_such_module" in listed.stderr
    words = ("adapt", images, "--learner", "angle-of-a-package", "--out", tmp_path / "model")
    assert _run(*words, *SMALL, path=site).returncode == 0
    asked = ("predict", tmp_path / "model", images, "--out", tmp_path / "answers.csv")
    done = _run(*asked, path=site)
    assert done.returncode == 0, done.stderr


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


def test_an_unknown_part_says_what_it_was_made_with() -> None:
    with pytest.raises(SaveError, match="--use theirs"), plugins.remembering({"used": ["theirs"]}):
        raise ConfigError("There is no part called 'x'.")
    with pytest.raises(ConfigError, match="no part"), plugins.remembering({}):
        raise ConfigError("There is no part called 'x'.")
