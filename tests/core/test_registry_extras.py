"""What is not installed is asked for with the line to type."""

import json
import sys

import pytest

from medshot.core.errors import ConfigError
from medshot.core.registry import needed


def test_what_is_there_is_given():
    assert needed("json", extra="onnx") is json


def test_what_is_not_there_is_named_with_the_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r'package onnx, .*pip install "medshot\[onnx\]"'):
        needed("onnx", extra="onnx")
