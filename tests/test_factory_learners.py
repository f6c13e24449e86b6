"""From words to a learner: encoders shared, drawn from one seed, and what was given kept."""

from pathlib import Path

import pytest
import torch

from medshot.api.adapt import adapted
from medshot.api.resolve import automatic, describe
from medshot.core.errors import ConfigError
from medshot.core.predictor import load_predictor
from medshot.data.load import load_one
from medshot.factory import WAYS, Builder, finetuned
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.selection import Auto, Configuration
from medshot.selection.space import FINETUNE
from medshot.stages.finetune import AutoTuned, FineTuned
from medshot.stages.finetune.methods import methods
from toys import conv4
from toys.commands import SMALL, folder
from toys.fixtures import Medshot, _few_draws, _on_the_path, medshot
from toys.textures import small

__all__ = ["_few_draws", "_on_the_path", "medshot"]  # fixtures

NARROW = {"encoder.width": 4, "encoder.size": 16}


def test_settings_reach_the_learner_and_its_encoder():
    made = Builder()(Configuration("linear-probe", "conv4", NARROW | {"c": 3.0}))
    assert made.c == 3.0
    assert (made.encoder.size, made.encoder.n_features) == (16, 4)


def test_learners_share_an_encoder_that_is_the_same_in_any_order():
    probe, lda = (Configuration(name, "conv4", NARROW) for name in ("linear-probe", "lda"))
    other = Configuration("lda", "conv4", NARROW | {"encoder.width": 8})
    first, second = Builder(), Builder()
    assert first(probe).encoder is first(lda).encoder
    second(other)
    torch.rand(3)
    for one, two in zip(first(lda).parameters(), second(lda).parameters(), strict=True):
        assert torch.equal(one, two)


def test_it_leaves_the_random_state_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    Builder()(Configuration("lda", "conv4", NARROW))
    assert torch.equal(torch.rand(1), expected)


def test_what_was_given_is_kept():
    mine = build("lda", encoder="pixels")
    assert Builder({"runs/mine": mine})(Configuration("runs/mine")) is mine


def test_a_setting_fine_tunes_any_learner_afterwards():
    built = Builder()(Configuration("linear-probe", "conv4", NARROW | {"c": 3.0, FINETUNE: "lora"}))
    assert isinstance(built, FineTuned)
    assert (built.what, built.learner.c) == ("lora", 3.0)
    mine = build("linear-probe", encoder=encoder("conv4", width=4, size=16))
    tuned = Builder({"runs/mine": mine})(Configuration("runs/mine", settings={FINETUNE: "film"}))
    assert isinstance(tuned, FineTuned)
    assert tuned.learner is mine


def test_every_way_there_is_may_be_chosen():
    assert set(WAYS[FINETUNE].values) == set(methods())


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Configuration("ldaa", "pixels"), "no learner called 'ldaa'"),
        (Configuration("lda", "pixel"), "no encoder called 'pixel'"),
        (Configuration("lda", "pixels", {"encoder.x": 1}), "no option of 'pixels' called 'x'"),
        (Configuration("lda", "pixels", {"c": 1}), "no option of 'lda' called 'c'"),
    ],
)
def test_what_there_is_not_is_refused(wanted: Configuration, said: str):
    with pytest.raises(ConfigError, match=said):
        Builder()(wanted)


# `adapt --finetune`: the report is of adapting and fine-tuning, beside adapting alone.


def test_none_leaves_a_learner_as_it_is() -> None:
    learner = build("lda", encoder=conv4())
    assert finetuned(learner, "none") is learner
    assert describe(finetuned(learner, "film")) == "lda on conv4, then film"


def test_what_could_move_nothing_is_said_before_the_work() -> None:
    with pytest.raises(ConfigError, match=r"pixels.*--learner prototypical"):
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
