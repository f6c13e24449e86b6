"""Imports only point down. The table is the architecture: what each folder may import."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import medshot

ROOT = Path(__file__).parents[1] / "src/medshot"
STAGES = {"core", "tasks", "data", "training", "evaluation", "selection"}
AROUND = STAGES | {"nn"}  # stages around adapting: they take a predictor, and know no learner
ALLOWED = {
    "core": set(),
    "tasks": {"core"},
    "nn": {"core"},
    "inner": {"core", "tasks", "nn"},
    "data": {"core", "tasks", "nn"},
    "phantoms": {"core", "tasks", "data"},
    "learners": {"core", "tasks", "nn", "inner", "data"},
    "training": STAGES,
    "evaluation": STAGES,
    "selection": STAGES,
    "pretraining": AROUND,
    "stages": AROUND,
    "testing": {"core", "tasks", "nn", "learners", "data", "stages"},
    "sklearn": {"core", "tasks", "learners", "factory", "data"},
    "factory": AROUND | {"learners", "pretraining", "stages"},
    "presenters": AROUND | {"learners", "phantoms", "factory"},
    "api": AROUND | {"phantoms", "learners", "pretraining", "stages", "factory", "presenters"},
    "app": set(),
}
PUBLIC = set(medshot.__all__)
EPISODE = {"Episode", "Examples", "Learner", "SupportSet"}


def test_every_folder_has_its_place():
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    modules = {path.stem for path in ROOT.glob("*.py") if not path.name.startswith("__")}
    assert folders | modules == set(ALLOWED)


def test_imports_only_point_down():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for folder, below in ALLOWED.items()
        for path in [*(ROOT / folder).rglob("*.py"), *ROOT.glob(f"{folder}.py")]
        for name in imports(path)
        if name.split(".")[1] not in below | {folder} | (PUBLIC if folder == "app" else set())
    ]
    assert wrong == []


def test_no_stage_knows_another():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / "stages").glob("*/*.py")
        for name in imports(path)
        if name.startswith("medshot.stages.")
        and name.split(".")[2] not in (path.parent.name, "base")
    ]
    assert wrong == []


def test_nets_know_neither_support_nor_query():
    wrong = [
        path.name
        for path in (ROOT / "nn").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and EPISODE & {alias.name for alias in node.names}
    ]
    assert wrong == []


def test_commands_import_public_names_typer_and_rich_alone():
    """A command parses, calls a public function and prints."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / "app").rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] not in {*sys.stdlib_module_names, "typer", "rich", "medshot"}
        or (name.split(".")[0] == "medshot" and name.split(".")[1] not in PUBLIC | {"app"})
    ]
    assert wrong == []


def test_no_import_cycle():
    paths = {name_of(path): path for path in ROOT.rglob("*.py")}
    left = {name: modules_of(path) & paths.keys() - {name} for name, path in paths.items()}
    left["medshot"] = set()  # its names are imported when asked for
    while ready := {name for name, below in left.items() if not below}:
        left = {name: below - ready for name, below in left.items() if name not in ready}
    assert left == {}


def test_no_module_is_long():
    long = {p.name: n for p in ROOT.rglob("*.py") if (n := len(p.read_text().splitlines())) > 400}
    assert long == {}


def name_of(path: Path) -> str:
    """The dotted name of a module or package."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def modules_of(path: Path) -> set[str]:
    """The modules that a file imports: of a package, those that it names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medshot"):
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {
                part
                for part in parts
                if (ROOT.parent / part.replace(".", "/")).exists()
                or (ROOT.parent / (part.replace(".", "/") + ".py")).exists()
            }
            found |= known if known == parts else known | {str(node.module)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def imports(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("medshot."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medshot."):
            yield node.module
        elif isinstance(node, ast.ImportFrom) and node.module == "medshot":
            yield from (f"medshot.{alias.name}" for alias in node.names)


def imported(path: Path) -> Iterator[str]:
    """The modules, and the public names, that a file takes something from."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (f"{alias.name}.__init__" for alias in node.names if alias.name != "medshot")
        elif isinstance(node, ast.ImportFrom) and node.module == "medshot":
            yield from (f"medshot.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
