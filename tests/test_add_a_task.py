"""The kind of task on docs/add-a-task.md, through the commands: what the page says is what runs."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import medshot
import toys
from medshot.core import plugins
from medshot.core.episode import Examples
from medshot.core.errors import DataError, SaveError, TaskError
from medshot.core.prediction import WRITERS
from medshot.core.predictor import load_predictor
from medshot.core.task import TASKS, Card, Task
from medshot.data.readers.registry import FOLDERS
from medshot.presenters.base import KINDS
from medshot.testing import check_learner
from toys.commands import command, table

PAGE = (Path(__file__).parents[1] / "docs/add-a-task.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)```", PAGE, flags=re.S | re.M))
COMMANDS = [line.split()[1:] for line in re.findall(r"^medshot .*$", PAGE, flags=re.M)]


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the three files and images; what they register is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "USED", [])
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    spots(tmp_path / "cells", range(16), seed=0)
    spots(tmp_path / "new_cells", (3, 0, 12, 7), seed=1)
    yield tmp_path
    for registry in (TASKS, KINDS, WRITERS, FOLDERS):
        registry.pop("counting", None)
    for name in [name for name in sys.modules if name.startswith("medshot_used_count")]:
        del sys.modules[name]


def spots(at: Path, counts: range | tuple[int, ...], seed: int) -> None:
    """Images of 16 x 16 pixels, each with so many bright ones on noise."""
    rng = np.random.default_rng(seed)
    at.mkdir()
    lines = ["path,count,patient"]
    for i, count in enumerate(counts):
        pixels = rng.integers(0, 5, 256)
        pixels[rng.permutation(256)[:count]] = 250
        Image.fromarray(pixels.reshape(16, 16).astype(np.uint8)).save(at / f"{i}.png")
        lines.append(f"{i}.png,{count},p{i}")
    (at / "labels.csv").write_text("\n".join(lines) + "\n")


def used() -> None:
    """The files of the page, in Python."""
    for name in FILES:
        medshot.use(name)


def test_the_page_has_three_files_and_three_commands():
    assert list(FILES) == ["count_task.py", "count_reader.py", "count_presenter.py"]
    assert [words[6] for words in COMMANDS] == ["adapt", "predict", "evaluate"]


def test_it_is_learned_predicted_and_evaluated_through_the_commands(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [command(*words) for words in COMMANDS] == [0, 0, 0], capsys.readouterr().err
    assert re.search(r"within one of (0\.9|1\.0)", said := capsys.readouterr().out), said
    about = json.loads((mine / "model/predictor.json").read_text())
    assert [Path(name).name for name in about["used"]] == list(FILES)
    answered = {Path(row["path"]).name: row["count"] for row in table(mine / "counts.csv")}
    assert answered == {"0.png": "3", "1.png": "0", "2.png": "12", "3.png": "7"}
    scores = json.loads((mine / "scores.json").read_text())["models"]["model"]["metrics"]
    assert scores["within one"]["mean"] == 1
    predictor = load_predictor(mine / "model")
    x = medshot.load(mine / "new_cells", channels=3, size=16).examples().x
    said = predictor.known_card().task.decode(predictor(x)).double()
    slow = (said - torch.tensor([[3.0], [0.0], [12.0], [7.0]])).abs().mean().item()
    assert scores["mean absolute error (objects)"]["mean"] == pytest.approx(slow, abs=1e-5)
    report = (mine / "model/report.html").read_text()
    assert "within one" in report
    assert "cells" in report


def test_a_model_without_its_files_says_what_to_use(mine: Path) -> None:
    assert command(*COMMANDS[0]) == 0
    TASKS.pop("counting")
    plugins.USED.clear()
    with pytest.raises(SaveError, match=r"--use .*count_task\.py"):
        load_predictor(mine / "model")


def test_folders_arrays_and_learners_know_it(mine: Path) -> None:
    used()
    folder = medshot.load("cells")
    assert folder.kind == "counting"
    assert folder.counts() == {"cells": 16}
    task = folder.task
    assert task.decode(torch.tensor([[-3.0], [2.0]])).tolist() == [[0.0], [2.0]]
    metric = task.metrics["within one"]
    assert metric(np.array([[3.6], [9.0]]), np.array([[5.0], [5.0]])) == 0.5
    arrays = medshot.dataset(np.zeros((4, 8, 8), np.uint8), [1, 2, 3, 4], task="counting")
    assert arrays.kind == "counting"
    with pytest.raises(DataError, match="whole number"):
        task.check(torch.tensor([[0.5], [1.0]]))
    assert "counting" in medshot.list_learners("counting")["ridge"].tasks
    episode = folder.at(1, toys.SIZE).episodes(way=1, shot=6, query=4, seed=0).episode(0)
    check_learner("ridge", episodes=[episode], encoder=lambda task: toys.conv4())


@pytest.mark.parametrize("cell", ["2.5", "-1", "many"])
def test_what_is_no_count_is_refused_with_its_line(mine: Path, cell: str) -> None:
    used()
    labels = mine / "cells/labels.csv"
    labels.write_text(labels.read_text().replace("\n1.png,1,", f"\n1.png,{cell},"))
    with pytest.raises(DataError, match=r"1\.png.*line 3"):
        medshot.load("cells")


def test_a_kind_that_is_like_no_other_is_learned_by_its_loss_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Task, "__init_subclass__", lambda **options: None)  # not to be registered

    class Rates(Task):
        """A rate an image, the logarithm of which is the output."""

        kind = "rates"

        def check(self, target: torch.Tensor) -> None:
            assert target.shape[1] == self.n_outputs

        def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.poisson_nll_loss(output, target)

        def decode(self, output: torch.Tensor) -> torch.Tensor:
            return output.exp()

        def to_prediction(self, output: torch.Tensor, path: Path, card: Card) -> float:
            return output.exp().item()

    x = torch.rand(12, 1, toys.SIZE, toys.SIZE) * torch.linspace(0.1, 1, 12)[:, None, None, None]
    support = Examples(x, 4 * x.mean((2, 3)))
    learner = medshot.build("finetune", encoder=toys.conv4(), steps=40, lr=0.01)
    output = learner.adapt(support, Rates(1))(support.x)
    nothing = torch.zeros(12, 1)
    best = support.y.clamp(min=1e-6).log()
    losses = [Rates(1).loss(each, support.y) for each in (best, output, nothing)]
    assert losses[0] < losses[1] < losses[2] - 0.5 * (losses[2] - losses[0])
    with pytest.raises(TaskError, match="not rates"):
        medshot.build("ridge", encoder=toys.conv4()).adapt(support, Rates(1))
