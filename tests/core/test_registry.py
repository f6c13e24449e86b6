"""Objects to JSON and back."""

import json
import subprocess
import sys
from copy import copy

import pytest
import torch
from torch import nn

import toys
from medshot.core import registry
from medshot.core.errors import ConfigError, SaveError
from medshot.core.registry import (
    Registry,
    import_files,
    make,
    names,
    needed,
    options_of,
    part,
    recipe,
)
from medshot.learners import build
from medshot.nn import Conv4, Pixels
from medshot.nn.heads import Linear


@pytest.fixture
def toy_part(monkeypatch):
    """A registered class with every kind of option, known only for this test."""
    monkeypatch.setattr(registry, "PARTS", dict(registry.PARTS))

    @part("toy", "box")
    class Box:
        def __init__(self, *, size=1, label=None):
            self.size, self.label = size, label

    return Box


def test_a_recipe_holds_defaults_too_and_survives_json():
    encoder = Conv4(channels=1, width=8)
    wanted = json.loads(json.dumps(recipe(encoder)))
    assert wanted["part"] == "encoder/conv4"
    assert wanted["options"] == {n: getattr(encoder, n, v) for n, v in wanted["options"].items()}
    assert set(wanted["options"]) == set(options_of(Conv4))
    again = make(wanted)
    again.load_state_dict(encoder.state_dict())
    x = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(again(x), encoder(x))


def test_parts_nest_and_tensors_are_their_shape_and_type():
    head = Linear(toys.conv4(), torch.rand(8, 3), torch.rand(3, dtype=torch.float64))
    wanted = json.loads(json.dumps(recipe(head)))
    assert wanted["options"]["encoder"]["part"] == "encoder/conv4"
    assert wanted["options"]["weight"] == {"tensor": [8, 3], "dtype": "float32"}
    again = make(wanted)
    assert again.bias.dtype == torch.float64
    assert not again.weight.any()


def test_a_part_does_not_keep_the_tensors_that_it_was_made_of():
    weight = torch.rand(8, 3, requires_grad=True) * 2
    head = Linear(toys.conv4(), weight, torch.rand(3)).double()
    assert all(t.is_meta for t in head._recipe["options"].values() if isinstance(t, torch.Tensor))
    assert head.freeze().weight.dtype == torch.float64


def test_lists_of_parts_are_lists(toy_part):
    kept = toy_part(label=[toy_part(size=2), 3, "four", None, True, 0.5])
    first, *rest = make(json.loads(json.dumps(recipe(kept)))).label
    assert first.size == 2
    assert rest == [3, "four", None, True, 0.5]


def test_what_is_no_part_is_refused_by_its_name(toy_part):
    class Unregistered(toy_part):
        pass

    for made in (nn.Linear(2, 2), Unregistered()):
        with pytest.raises(SaveError, match=rf"{type(made).__name__} cannot.*@medshot\.part"):
            recipe(made)
    with pytest.raises(SaveError, match="Linear cannot be saved"):
        recipe(toy_part(label=nn.Linear(2, 2)))


def test_an_unknown_part_gets_a_suggestion():
    with pytest.raises(ConfigError, match="Did you mean 'encoder/conv4'"):
        make({"part": "encoder/conv3", "options": {}})


def test_two_files_cannot_share_a_name():
    with pytest.raises(ConfigError, match="'encoder/conv4'"):
        part("encoder", "conv4")(type("Other", (), {}))
    assert registry.PARTS["encoder/conv4"] is Conv4


def test_names_are_those_of_one_kind(toy_part):
    assert names("toy") == ["box"]
    assert {"conv4", "pixels"} <= set(names("encoder"))


# Files found without a list of them, and what a fresh process knows without importing them.


def test_every_file_of_a_package_is_imported():
    assert import_files("medshot.tasks") == {}
    assert "medshot.tasks.classification" in sys.modules


def test_a_fresh_process_loads_a_predictor_with_no_other_import(tmp_path):
    encoder = Pixels(channels=1, size=toys.SIZE)
    predictor = build("nearest-centroid", encoder=encoder).adapt(toys.dataset())
    predictor.save(tmp_path / "saved")
    x = torch.full((1, 1, toys.SIZE, toys.SIZE), 0.5)
    code = (
        "import medshot, sys, torch\n"
        f"loaded = medshot.load_predictor({str(tmp_path / 'saved')!r})\n"
        f"print(loaded(torch.full({tuple(x.shape)}, 0.5)).tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(predictor(x).tolist())


# What is not installed is asked for with the line to type.


def test_what_is_there_is_given():
    assert needed("json", extra="onnx") is json


def test_what_is_not_there_is_named_with_the_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r'"medshot\[onnx\]"'):
        needed("onnx", extra="onnx")


# The table of names: what adds to it, what it refuses, and what it imports.


class Thing:
    """Something to be found by name."""


class Other:
    """Another."""


def _table() -> Registry[type]:
    table: Registry[type] = Registry("thing")
    table["second"], table["first"] = Other, Thing
    return table


def test_names_are_found_and_listed_in_order():
    table = _table()
    assert table.find("first") is Thing
    assert list(table.all()) == ["first", "second"]


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(ConfigError, match=r"'frist'.*'first'"):
        _table().find("frist")


def test_a_second_module_cannot_take_a_name_but_the_same_may_define_it_again():
    table = _table()
    table["first"] = Other
    assert table.find("first") is Other
    with pytest.raises(ConfigError, match=r"Two .* are called 'first'"):
        table.add("first", Thing, module="elsewhere")
    assert table.find("first") is Other
    del table["first"]
    table.add("first", Thing, module="elsewhere")
    assert table.find("first") is Thing


def test_a_copy_is_another_table():
    table = _table()
    other = copy(table)
    other["third"] = Thing
    assert "third" not in table
    assert isinstance(other, Registry)


def test_the_files_of_a_package_are_imported_when_it_is_asked_and_not_before():
    code = (
        "from medshot.core.task import TASKS\n"
        "print(len(TASKS))\n"
        "print(TASKS.find('ordinal').__module__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "medshot.tasks.ordinal"]
