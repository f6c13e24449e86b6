"""Kinds of task differ in `tasks/`, `data/readers/` and `presenters/`; nothing else asks for it.

What it needs to know is said by a method or an attribute of the `Task`, the folder or the `Kind`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from medshot.core.task import TASKS
from medshot.presenters import kind_called
from medshot.presenters.base import KINDS

ROOT = Path(__file__).parents[1] / "src/medshot"
SEAMS = ("tasks/", "data/readers/", "presenters/")
HONEST = {
    "learners/to_grid.py": "asks what a learner supports, not of what kind a task is",
    "data/layouts/labelme.py": "the word `points` is a key of the file",
}
ASKS = {"isinstance", "issubclass", "startswith", "endswith", "removesuffix"}


def test_nothing_asks_of_what_kind_a_task_is():
    asked = {
        path.relative_to(ROOT).as_posix(): [ast.unparse(node) for node in found]
        for path in ROOT.rglob("*.py")
        if (found := list(questions(path.read_text())))
    }
    elsewhere = {path: asked[path] for path in asked if not path.startswith(SEAMS)}
    assert elsewhere.keys() == HONEST.keys(), elsewhere


@pytest.mark.parametrize(
    "line",
    [
        "if isinstance(task, (Detection, Segmentation)): pass",
        "size = 128 if dataset.kind == Segmentation.kind else 64",
        "if card.kind in ('segmentation', 'segmentation-3d'): pass",
        "found = [s for s in sets if s.kind != USUAL]",
        "if kind.startswith('segmentation'): pass",
        "match task:\n    case Ordinal(): pass",
    ],
)
def test_such_a_question_would_be_found(line: str):
    assert list(questions(line))


def test_naming_a_kind_is_no_question():
    assert not list(questions("supports = (Segmentation,)\nif values.dtype.kind == 'u': pass"))


def questions(source: str) -> Iterator[ast.AST]:
    """Comparisons, tests of a type, and cases of a match that name a kind of task."""
    kind_called("classification")
    names = {task.__name__ for task in TASKS.values()} | {"USUAL"}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare | ast.match_case) or _asks(node):
            parts = list(ast.walk(node.pattern if isinstance(node, ast.match_case) else node))
            named = {part.id for part in parts if isinstance(part, ast.Name)}
            written = {part.value for part in parts if isinstance(part, ast.Constant)}
            if named & names or written & {*KINDS, *TASKS}:
                yield node


def _asks(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ASKS
