"""One new file is one new learner; a name that is none gets a suggestion."""

import sys
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path

import pytest

import medshot.learners
import toys
from medshot.core import registry as parts
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.learners import build, learners, missing, registry
from medshot.nn.encoders.mobilenet import MobileNet

FILE = """
import {dependency}
from medshot.learners.metric.nearest_centroid import NearestCentroid
from medshot.learners.registry import register


@register("dropped-in")
class DroppedIn(NearestCentroid):
    pass
"""


@pytest.fixture
def drop_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts a file `dropped_in.py` beside the learners, and takes it away again."""
    monkeypatch.setattr(registry, "_LEARNERS", copy(registry._LEARNERS))
    monkeypatch.setattr(parts, "PARTS", copy(parts.PARTS))
    monkeypatch.setattr(medshot.learners, "__path__", [*medshot.learners.__path__, str(tmp_path)])

    def drop(dependency: str) -> None:
        (tmp_path / "dropped_in.py").write_text(FILE.format(dependency=dependency))
        parts.import_files.cache_clear()

    yield drop
    parts.import_files.cache_clear()
    sys.modules.pop("medshot.learners.dropped_in", None)
    vars(medshot.learners).pop("dropped_in", None)


def test_every_file_of_a_family_registers_a_learner():
    files = {path.stem for path in Path(registry.__file__).parent.glob("*/*.py")}
    files -= {"__init__", "addressing"}
    assert {Path(registry.file_of(cls)).stem for cls in learners().values()} == files
    assert dict(missing()) == {}


def test_every_learner_says_whom_it_is_from_and_what_it_does():
    for cls in learners().values():
        assert issubclass(cls, Learner)
        assert cls.source
        assert cls.supports
        assert cls.__doc__
        assert "Source:" in cls.__doc__


def test_a_new_file_is_a_new_learner(drop_in):
    drop_in("math")
    assert "dropped-in" in learners()
    assert type(build("dropped-in", encoder=toys.conv4())).__name__ == "DroppedIn"


def test_a_missing_dependency_is_named_and_leaves_the_others_alone(drop_in):
    drop_in("no_such_package")
    with pytest.raises(ConfigError, match=r"'dropped-in'.*no_such_package"):
        build("dropped-in")
    assert "maml" in learners()
    assert list(missing()) == ["dropped_in"]


def test_a_missing_file_of_ours_is_no_missing_dependency(drop_in):
    drop_in("medshot.no_such_file")
    with pytest.raises(ModuleNotFoundError, match="no_such_file"):
        learners()


def test_two_learners_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="'learner/maml'"):

        @registry.register("maml")
        class Other(Learner):
            pass

    assert (
        build("maml", encoder=toys.conv4()).__class__.__module__ == "medshot.learners.gradient.maml"
    )


@pytest.mark.parametrize(
    ("name", "options", "hint"),
    [
        ("prototypicl", {}, "no learner called 'prototypicl'. Did you mean 'prototypical'"),
        ("maml", {"step": 3}, "no option of 'maml' called 'step'. Did you mean 'steps'"),
        ("maml", {"encoder": "conv5"}, "no encoder called 'conv5'. Did you mean 'conv4'"),
    ],
)
def test_a_typo_gets_a_suggestion(name, options, hint):
    with pytest.raises(ConfigError) as error:
        build(name, **options)
    assert hint in str(error.value)


def test_built_learners_are_ready_for_use():
    learner = build("prototypical")
    assert isinstance(learner.encoder, MobileNet)
    assert "ImageNet" in learner.origin
    assert not learner.training
