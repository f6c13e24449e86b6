"""Nothing that is read from a disk is run as a program."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1] / "src/medshot"
MODULES = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}
CALLS = {"eval", "exec", "torch.load", "torch.save", "torch.jit.load", "torch.package"}
KEYWORDS = {"allow_pickle"}


def test_no_file_reads_or_writes_pickles_or_runs_text():
    files = list(ROOT.rglob("*.py"))
    assert len(files) > 50
    wrong = [f"{f.relative_to(ROOT)}: {w}" for f in files for w in _found(f.read_text())]
    assert wrong == []


def test_each_of_them_would_be_found():
    assert _found("import pickle") == ["pickle"]
    assert _found("from joblib import load") == ["joblib"]
    assert _found("torch.load(f)") == ["torch.load"]
    assert _found("torch.load(f, weights_only=False)") == ["torch.load"]
    assert _found("torch.load(f, weights_only=True)") == []
    assert _found("model.eval()") == []
    assert _found("np.load(f, allow_pickle=True)") == ["allow_pickle"]


def _found(text: str) -> list[str]:
    nodes = list(ast.walk(ast.parse(text)))
    imported = [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
    imported += [n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)]
    called = [_name(n) for n in nodes if isinstance(n, ast.Call)]
    given = [k.arg for n in nodes if isinstance(n, ast.Call) for k in n.keywords]
    modules = [name for name in imported if name.partition(".")[0] in MODULES]
    return modules + [c for c in called if c in CALLS] + [k for k in given if k in KEYWORDS]


def _name(call: ast.Call) -> str:
    """What is called; `torch.load` that takes tensors alone, and runs nothing, is another thing."""
    given = {k.arg: ast.unparse(k.value) for k in call.keywords}
    safe = given.get("weights_only") == "True"
    return f"{ast.unparse(call.func)}{' of tensors' * safe}"
