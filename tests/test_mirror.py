"""Tests mirror the source: `src/medshot/a/b.py` is tested in `tests/a/test_b.py`."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src/medshot"
LINES = 40  # of functions and classes: what is shorter may be tested by whoever uses it

_DESCENT = "learners/test_gradient_family.py"  # one value test for all, against a slow inner loop
_FAMILIES = "phantoms/masks/families/test_families.py"  # what each says of itself and paints
_STAGES = "testing/test_stage.py"  # one contract for all stages
ELSEWHERE = {  # a module without a test file of its name: who tests it
    "api/demo.py": "app/test_demo.py",
    "api/fuse.py": "app/commands/test_fuse.py",
    "api/harden.py": "app/commands/test_harden.py",
    "data/checks/rows.py": "data/checks/test_labels.py",  # with what else a table may hold
    "data/readers/metadata.py": "data/test_load.py",  # what all readers share
    "evaluation/comparison.py": "api/test_compare.py",
    "learners/gradient/imaml.py": _DESCENT,
    "learners/gradient/learned_optimizer.py": "learners/test_contract.py",  # + inner/learned_rules
    "learners/gradient/mamlpp.py": _DESCENT,
    "learners/gradient/reptile.py": _DESCENT,
    "phantoms/masks/families/base.py": _FAMILIES,
    "phantoms/masks/families/cells.py": _FAMILIES,
    "phantoms/masks/families/lesions.py": _FAMILIES,
    "phantoms/masks/families/membranes.py": _FAMILIES,
    "phantoms/masks/families/organs.py": _FAMILIES,
    "phantoms/masks/families/smears.py": _FAMILIES,
    "presenters/classification.py": "evaluation/report/test_html.py",  # seen in the page
    "stages/base.py": _STAGES,
    "stages/compress/stage.py": _STAGES,
    "stages/finetune/stage.py": _STAGES,
    "stages/fuse/stage.py": _STAGES,
    "stages/robustness/stage.py": _STAGES,
    "testing/problems.py": "testing/test_learner.py",  # the episodes of the contract
}
SEVERAL = {  # test files of no one module: of a whole folder, or of a promise
    "core/test_saved_before.py",
    "learners/test_contract.py",
    "learners/test_frozen.py",
    "learners/test_gradient_family.py",
    "learners/test_meta_training.py",
    "learners/test_refusals.py",
    "learners/test_several_kinds.py",
    "phantoms/masks/families/test_families.py",
    "stages/finetune/test_contract.py",
    "stages/finetune/test_refusals.py",
}
IMPORT_TESTS = {"api/test_selecting.py", "stages/robustness/test_corruption.py"}  # may, as yet
WHOLE = ("app/", "api/", "cases/")  # whose tests may go through several commands or calls


def _defined(path: Path) -> list[ast.stmt]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [
        node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, kinds)
    ]


def _modules() -> dict[str, int]:
    """Lines of functions and classes of each module."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        lines = sum((node.end_lineno or 0) - node.lineno + 1 for node in _defined(path))
        found[path.relative_to(SOURCE).as_posix()] = lines
    return found


def _mirror(module: str) -> Path:
    path = TESTS / module
    return path.with_name(f"test_{path.name}")


def test_a_module_has_a_test_file_of_its_name_or_is_tested_where_the_list_says() -> None:
    alone = {m for m, lines in _modules().items() if lines > LINES and not _mirror(m).exists()}
    assert sorted(alone - set(ELSEWHERE)) == []
    assert sorted(set(ELSEWHERE) - alone) == [], "these need no line in the list any longer"


@pytest.mark.parametrize(("module", "test"), ELSEWHERE.items())
def test_who_tests_a_module_is_there(module: str, test: str) -> None:
    assert (TESTS / test).exists()


def test_a_test_file_is_named_after_its_module_or_is_of_several() -> None:
    files = {path.relative_to(TESTS).as_posix() for path in TESTS.glob("*/**/test_*.py")}
    assert {name for name in files if not _of_a_module(name)} == SEVERAL


def _of_a_module(test: str) -> bool:
    """Whether there is a module a/b.py for a/test_b.py or a long part, a/test_b_part.py."""
    folder, _, name = test.removesuffix(".py").rpartition("/test_")
    words = name.split("_")
    parts = ("_".join(words[: i + 1]) for i in range(len(words)))
    return test.startswith(WHOLE) or any(
        (SOURCE / folder / f"{part}.py").exists() for part in parts
    )


def test_what_tests_share_is_in_toys() -> None:
    for path in TESTS.rglob("*.py"):
        if path.relative_to(TESTS).as_posix() in IMPORT_TESTS:
            continue
        found = re.findall(r"^ *(?:from|import) (?:\S+\.)?test_.*", path.read_text("utf-8"), re.M)
        assert not found, path


def test_the_fast_tests_are_of_every_package_and_the_slow_ones_exist() -> None:
    slow = (TESTS / "slow.txt").read_text(encoding="utf-8").split()
    assert slow == sorted(set(slow))
    assert [name for name in slow if not (TESTS / name).exists()] == []
    files = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    fast = {name.partition("/")[0] for name in files - set(slow)}
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert packages - fast == set()
