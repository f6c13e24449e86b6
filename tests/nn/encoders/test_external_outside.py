"""A library that is not there is a sentence with the line to type; a broken one says so."""

import importlib
import sys

import pytest

from medshot.core.errors import ConfigError
from medshot.nn import encoder
from medshot.nn.encoders.external import library, no_such


@pytest.mark.parametrize(("name", "option"), [("timm", "timm"), ("monai", "monai")])
def test_a_missing_library_is_named_with_the_line_to_type(monkeypatch, name, option):
    if name == "timm":
        monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf'pip install "medshot\[{option}\]"'):
        encoder(name)


def test_a_library_that_breaks_on_import_says_why(monkeypatch):
    def breaks(name: str) -> None:
        raise RuntimeError("operator torchvision::roi does not exist")

    monkeypatch.setattr(importlib, "import_module", breaks)
    with pytest.raises(ConfigError, match=r"timm is installed but cannot be imported .*roi"):
        library("timm")


def test_of_hundreds_of_networks_the_nearest_few_are_named():
    said = str(no_such("resnet5", [f"resnet{i}" for i in range(300)], "timm"))
    assert "Did you mean 'resnet5" in said
    assert said.count("resnet") == 7
    assert "no similar name" in str(no_such("x", ["resnet"], "timm"))
