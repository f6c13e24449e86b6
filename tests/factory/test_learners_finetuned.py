"""`adapt --finetune`: the report is of adapting and fine-tuning, beside adapting alone."""

from pathlib import Path

import pytest

from medshot.api.adapt import adapted
from medshot.api.resolve import automatic, describe
from medshot.core.errors import ConfigError
from medshot.core.predictor import load_predictor
from medshot.data.load import load_one
from medshot.factory.learners import cost, finetuned
from medshot.learners.registry import build
from medshot.selection import Auto
from medshot.stages.finetune import AutoTuned, FineTuned
from stages.finetune.test_pointwise import small
from toys import conv4
from toys.commands import SMALL, folder
from toys.fixtures import Medshot


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
    assert report.metrics.methods == (
        *("auto, then film", "auto", "ImageNet linear probe"),
        *("linear-probe on pixels", "ridge on mean color"),
    )
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


def test_auto_moves_a_mobilenet_and_says_first_what_it_costs(tmp_path: Path) -> None:
    tuned = finetuned(build("linear-probe", encoder=small(5)), "auto")
    assert isinstance(tuned, AutoTuned)
    assert describe(tuned) == "linear-probe on mobilenet, fine-tuned where that helps"
    dataset = load_one(folder(tmp_path / "a", (3, 3)), channels=3, size=32)
    told = cost(tuned, dataset)
    assert told.startswith("fine-tuning takes about ")
    assert "on 6 images; with cross-validation about " in told
    assert cost(build("lda", encoder=conv4()), dataset) == ""
    alone = load_one(folder(tmp_path / "b", (1, 1)), channels=3, size=32)
    assert cost(tuned, alone) == "", "nothing can be left out, so nothing is done"


def test_auto_needs_a_mobilenet_among_the_candidates() -> None:
    with pytest.raises(ConfigError, match="conv4 is no MobileNet v1"):
        finetuned(build("lda", encoder=conv4()), "auto")
    shallow, deep = (build("lda", encoder=small(blocks)) for blocks in (3, 5))
    with pytest.raises(ConfigError, match="5 pointwise"):
        finetuned(Auto([build("lda", encoder=conv4()), shallow]), "auto")
    assert isinstance(finetuned(Auto([shallow, deep]), "auto"), AutoTuned)


def test_the_command_says_whether_auto_was_kept(medshot: Medshot, tmp_path: Path) -> None:
    mine, out = folder(tmp_path / "mine", (3, 3)), tmp_path / "model"
    named = ("--learner", "linear-probe", "--encoder", "mobilenet", "--set", "encoder.size=32")
    done = medshot("adapt", mine, "--finetune", "auto", "--out", out, *named)
    assert done.status == 0, done.err
    assert "fine-tuning takes about" in done.err
    stage = load_predictor(out).known_card().stages[-1]
    assert (stage["stage"], stage["what"], stage["kept"]) == ("finetune", "auto", stage["kept"])
    assert stage["kept"] == (stage["loss fine-tuned"] < stage["loss as it is"])
    assert "linear-probe on mobilenet (pretrained), fine-tuned where that helps" in " ".join(
        done.out.split()
    )
