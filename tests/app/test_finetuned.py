"""`adapt --finetune`: the report is of adapting and fine-tuning, beside adapting alone."""

from pathlib import Path

import pytest

from app.conftest import Medshot
from app.toys import SMALL, folder
from medshot.app.choose import automatic, describe
from medshot.app.finetuned import finetuned
from medshot.app.report import adapted
from medshot.core.errors import ConfigError
from medshot.core.store import load_predictor
from medshot.data.load import load_one
from medshot.finetuning import FineTuned
from medshot.learners.registry import build
from medshot.select import Auto
from toys import conv4


def test_none_leaves_a_learner_as_it_is() -> None:
    learner = build("lda", encoder=conv4())
    assert finetuned(learner, "none") is learner
    assert describe(finetuned(learner, "film")) == "lda on conv4, then film"


def test_what_could_move_nothing_is_said_before_the_work() -> None:
    with pytest.raises(ConfigError, match=r"pixels has no linear layers.*--learner prototypical"):
        finetuned(automatic(), "lora")
    assert isinstance(finetuned(automatic(), "head"), FineTuned)


def test_auto_chooses_and_what_it_chose_is_fine_tuned(tmp_path: Path) -> None:
    auto = Auto([build(name, encoder=conv4()) for name in ("lda", "nearest-centroid")])
    dataset = load_one(folder(tmp_path / "a", (3, 3)), channels=1, size=16)
    _, report = adapted(finetuned(auto, "film"), dataset, "")
    assert report.metrics is not None
    assert report.metrics.methods == ("auto, then film", "auto", "linear-probe on pixels")
    assert report.provenance is not None
    chosen = report.provenance.options["chosen by auto"]
    assert chosen.endswith("on conv4, then film")
    assert report.summary.endswith(f"of 2 candidates, auto chose {chosen}.")
    assert report.provenance.options["fine-tuned"].startswith("film: steps 50, lr 0.001")


def test_the_command_judges_it_with_and_without(medshot: Medshot, tmp_path: Path) -> None:
    mine, out = folder(tmp_path / "mine", (3, 3)), tmp_path / "model"
    named = ("--learner", "nearest-centroid", *SMALL)
    done = medshot("adapt", mine, "--finetune", "head", "--out", out, *named)
    assert done.status == 0, done.err
    assert "nearest-centroid on conv4, then head" in " ".join(done.out.split())
    stage = load_predictor(out).known_card().stages[-1]
    assert (stage["stage"], stage["what"]) == ("finetune", "head")
    wrong = medshot("adapt", mine, "--finetune", "haed", "--out", tmp_path / "other", *named)
    assert wrong.refused("Did you mean 'head'")
