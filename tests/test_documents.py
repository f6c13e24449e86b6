"""The code in README and docs: its names exist, and it runs, on toys and with a few steps."""

import ast
import contextlib
import importlib
import inspect
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import medshot
from medshot.evaluation import cross_validation
from medshot.stages.robustness import evaluate
from toys.commands import folder, picture
from toys.pairs import pairs
from toys.slides import scene, write_slide
from toys.tables import several
from toys.training import blobs

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/stages/*.md")])
BLOCKS = {
    f"{page.relative_to(ROOT)}:{number}": code
    for page in PAGES
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    )
}
ELSEWHERE = {  # pages with a test of their own that runs them
    "docs/add-a-format.md": "test_contributing.py",
    "docs/add-a-learner.md": "test_contributing.py",
    "docs/add-a-stage.md": "test_add_a_stage.py",
    "docs/add-a-task.md": "test_add_a_task.py",
    "docs/add-an-encoder.md": "test_contributing.py",
}
NOT_RUN = {  # and why
    "docs/formats.md:0": "a model of CT series: each call has its test in tests/data/io",
    "docs/plugins.md:0": "checks of the parts that those tests check",
    "docs/protocols.md:0": "the files of Omniglot: tests/evaluation/test_protocols.py has them",
}
FEW = {  # options that the pages leave at what takes minutes
    "train": {"steps": 2, "shot": 1, "query": 1, "val_episodes": 2},
    "pretrain": {"steps": 2},
    "select_learner": {"trials": 2},
    "harden": {"steps": 2, "attack_steps": 2},
    "distill": {"steps": 2},
    "prune": {"steps": 2},
    "finetune": {"steps": 2},
}


def _folders(*names: str) -> None:
    """Two classes in each."""
    for first, name in enumerate(names):
        folder(Path(name), first=20 * first)


def _images() -> None:
    """Four classes, in a folder for all that a page may call images."""
    for first, name in enumerate(("my_images", "other_patients", "held_out", "skin", "brain")):
        folder(Path(name), (15,) * 4 if first > 2 else (8,) * 4, first=100 * first)
    for name in ("new.png", "new_image.png"):
        picture(0, 999).save(name)


def _learner(**options: Any) -> medshot.Learner:
    torch.manual_seed(0)
    return medshot.build("prototypical", encoder=medshot.encoder("conv4", width=8, **options))


def _models() -> dict[str, Any]:  # some pages leave `import medshot` to the reader
    """Saved models and a run on those images."""
    _images()
    for name in ("my_model", "my_model_2", "model_a", "model_b"):
        _learner().adapt(medshot.load("my_images")).save(name)
    medshot.train(_learner(), medshot.load("skin", "brain"), out="runs/proto", way=4)
    return {"medshot": medshot}


def _to_compress() -> None:
    """A model with a network that has smaller siblings."""
    _images()
    learner = medshot.build("linear-probe", encoder=medshot.encoder("mobilenet", size=64))
    learner.adapt(medshot.load("my_images")).save("my_model")


def _marked() -> None:
    """Images with a mask each."""
    folder(Path("my_images"), (6,))
    rows = ["path,mask"]
    for i in range(6):
        picture(0, i).point(lambda value: int(value > 120)).save(f"my_images/mask{i}.png")
        rows.append(f"0-{i}.png,mask{i}.png")
    Path("my_images/labels.csv").write_text("\n".join(rows) + "\n")
    picture(0, 999).save("new.png")


def _boxed() -> None:
    """Images with a box each."""
    folder(Path("my_images"), (6,))
    rows = ["path,xmin,ymin,xmax,ymax,label", *(f"0-{i}.png,1,0,5,24,bar" for i in range(6))]
    Path("my_images/labels.csv").unlink()
    Path("my_images/boxes.csv").write_text("\n".join(rows) + "\n")
    picture(0, 999).save("new.png")


def _paired() -> None:
    pairs(Path("pairs"), 6)
    Path("new.png").write_bytes(Path("pairs/0.png").read_bytes())


def _patients() -> dict[str, Any]:
    several(Path("my_patients"))
    several(Path("new_patients"), 2)
    return {"medshot": medshot}


def _trainable() -> dict[str, Any]:
    """What the page on training speaks of."""
    data = blobs()
    medshot.train(_learner(channels=1, size=16), data, out="runs/first")
    source = medshot.EpisodeSampler(data, way=3, shot=1, query=1)
    scanners = {f"{name}_scanner": source for name in ("first", "second", "third")}
    given = {
        "learner": _learner(channels=1, size=16),
        "sets": [data],
        "data": data,
        "held_out": data,
    }
    return {"medshot": medshot, "sets": [data], **given, **scanners}


BEFORE: dict[str, Callable[[], dict[str, Any] | None]] = {  # a block, or a whole page
    "README.md": _models,
    "docs/around-a-learner.md": _trainable,
    "docs/data.md:0": _marked,
    "docs/data.md:1": _boxed,
    "docs/data.md:2": _paired,
    "docs/formats.md:1": lambda: write_slide(Path("biopsy.svs"), scene()) and None,
    "docs/python.md": lambda: _folders("my_images", "new_images"),
    "docs/stages/compress.md": _to_compress,
    "docs/stages/fuse.md:1": _patients,
    **{f"docs/stages/{stage}.md": _models for stage in ("evaluate", "export", "fuse")},
    **{f"docs/stages/{stage}.md": _models for stage in ("finetune", "harden", "pretrain")},
    "docs/stages/select.md": _images,
}


def _within(call: Callable[..., Any], few: dict[str, Any], *given: Any, **options: Any) -> Any:
    """`call`, with `few` in the place of what the page asks for."""
    return call(*given, **{**options, **few})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A few steps, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name, few in FEW.items():
        monkeypatch.setattr(medshot, name, partial(_within, getattr(medshot, name), few))
    few = {"steps": 2, "queries": 4}
    monkeypatch.setattr(evaluate, "robustness", partial(_within, evaluate.robustness, few))
    monkeypatch.setattr(cross_validation, "DRAWS", 30)


def test_there_is_code() -> None:
    assert "README.md:0" in BLOCKS
    assert set(NOT_RUN) <= set(BLOCKS)
    assert set(BEFORE) <= set(BLOCKS) | {_page(place) for place in BLOCKS}


@pytest.mark.parametrize(("page", "test"), ELSEWHERE.items())
def test_a_page_that_is_not_run_here_is_read_by_its_test(page: str, test: str) -> None:
    assert Path(page).name in (ROOT / "tests" / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("place", BLOCKS)
def test_what_is_imported_and_called_exists(place: str) -> None:
    tree = ast.parse(BLOCKS[place])
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medshot"):
            found = importlib.import_module(node.module or "")
            assert [name.name for name in node.names if not hasattr(found, name.name)] == []
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("medshot."):
            _named(ast.unparse(node))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("medshot."):
            asked = {word.arg for word in node.keywords if word.arg}
            known = inspect.signature(_named(ast.unparse(node.func))).parameters.values()
            if not any(one.kind is one.VAR_KEYWORD for one in known):
                assert asked <= {one.name for one in known}


def _named(dotted: str) -> Any:
    """What `medshot.a.b` is; stops at a call."""
    found: Any = medshot
    for name in re.match(r"medshot((\.\w+)*)", dotted).group(1).split(".")[1:]:  # type: ignore[union-attr]
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(f"{found.__name__}.{name}") if inspect.ismodule(found) else None
        found = getattr(found, name)
    return found


def _page(place: str) -> str:
    return place.partition(":")[0]


RUN = [place for place in BLOCKS if place not in NOT_RUN and _page(place) not in ELSEWHERE]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("place", RUN)
def test_it_runs(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = BEFORE.get(place) or BEFORE.get(_page(place))
    names = (before() if before else None) or {}
    exec(compile(BLOCKS[place], place, "exec"), {"__name__": "page", **names})
    told = capsys.readouterr().out
    assert told or "print(" not in BLOCKS[place]
