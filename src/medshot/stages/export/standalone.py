"""Scripts that run without medshot: one file with the text of the modules that they share."""

import ast
from pathlib import Path

from medshot.data.io import pixels, raster
from medshot.data.io.dicom import picture
from medshot.stages.export import image_files

SHARED = (pixels, raster, picture, image_files)  # each imports only those before it


def standalone(script: Path) -> str:
    """The text of `script`, after that of the modules of medshot that it imports from.

    Of docstrings of modules, only that of the script stays; imports of medshot are left out.
    """
    main = script.read_text()
    head = ast.get_docstring(ast.parse(main), clean=False)
    texts = [*(Path(str(module.__file__)).read_text() for module in SHARED), main]
    return "\n\n".join([f'"""{head}"""', *map(_bare, texts)]) + "\n"


def _bare(text: str) -> str:
    """A module without its docstring and its imports of medshot."""
    lines = text.splitlines()
    docstring, *rest = ast.parse(text).body
    ours = [
        node
        for node in rest
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medshot")
    ]
    for node in reversed([docstring, *ours]):
        del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines).strip("\n")
