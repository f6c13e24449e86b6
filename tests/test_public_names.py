"""What `medshot` exports is one table, which editors read too, and costs nothing to import."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import medshot


def test_the_table_for_editors_is_the_table_for_python():
    assert _for_editors() == medshot._HOME
    assert set(medshot.__all__) == set(medshot._HOME) <= set(dir(medshot))
    assert list(medshot._HOME) == sorted(medshot._HOME)


@pytest.mark.parametrize("name", medshot.__all__)
def test_every_name_is_there_and_documented(name):
    found = getattr(medshot, name)
    assert found is getattr(importlib.import_module(medshot._HOME[name]), name)
    assert found.__doc__


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'lern'"):
        medshot.lern  # noqa: B018


def test_importing_medshot_does_not_import_torch():
    code = "import medshot, sys; print(sorted({'torch', 'numpy', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _for_editors() -> dict[str, str]:
    """The imports under `if TYPE_CHECKING`."""
    tree = ast.parse(Path(medshot.__file__).read_text())
    guarded = [n for n in tree.body if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n)]
    lines = [line for block in guarded for line in block.body if isinstance(line, ast.ImportFrom)]
    return {alias.name: line.module or "" for line in lines for alias in line.names}
