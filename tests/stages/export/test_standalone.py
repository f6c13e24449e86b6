"""A script with the modules that it shares: whole, and without a word of medshot's packages."""

import ast
from collections import Counter

from medshot.stages.export.onnx_file import SCRIPT
from medshot.stages.export.standalone import standalone


def test_it_holds_all_that_it_calls_and_imports_no_medshot():
    tree = ast.parse(standalone(SCRIPT))
    nodes = list(ast.walk(tree))
    imported = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    assert not [name for name in imported if name.startswith("medshot")]
    assert ast.get_docstring(tree) == ast.get_docstring(ast.parse(SCRIPT.read_text()))
    kinds = (ast.FunctionDef, ast.ClassDef)
    defined = Counter(node.name for node in tree.body if isinstance(node, kinds))
    given = [node for node in tree.body if isinstance(node, ast.Assign)]
    for node in given:
        names = [n.id for target in node.targets for n in ast.walk(target) if hasattr(n, "id")]
        defined.update(names)
    assert {"read_tiff", "picture", "windowed", "pixels_in", "answers"} <= set(defined)
    assert [name for name, times in defined.items() if times > 1] == []
