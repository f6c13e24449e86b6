"""Images in the form and the labels of a model, an output that is whole or goes on, and tables."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import medshot
import toys
from medshot.core.atomic import unfinished
from medshot.core.errors import LeakError, SaveError
from medshot.data.load import images_for, load, refuse_shared
from medshot.evaluation.comparison import compared
from medshot.learners.registry import build
from toys.commands import folder


def _model(place: Path):
    mine = folder(place / "mine", (4, 4, 4))
    return build("nearest-centroid", encoder=toys.conv4()).adapt(load(mine))


def test_an_image_on_both_sides_is_refused_by_name(tmp_path):
    card = _model(tmp_path).known_card()
    learned = images_for(card, tmp_path / "mine")
    refuse_shared(learned, images_for(card, folder(tmp_path / "others", (2, 2, 2), first=10)))
    some = images_for(card, folder(tmp_path / "some", (2, 2, 2), first=3))
    with pytest.raises(LeakError, match=r"3 image\(s\) of some are in mine.*0-0\.png"):
        refuse_shared(learned, some)


def test_what_was_cut_short_keeps_its_checkpoints_and_what_ended_its_scalars(tmp_path):
    out = tmp_path / "model"

    def attempt(ends: bool) -> None:
        with unfinished(out) as (staging, working):
            (working / "tensorboard").mkdir(parents=True, exist_ok=True)
            if not ends:
                raise KeyboardInterrupt
            staging.mkdir()

    with pytest.raises(KeyboardInterrupt):
        attempt(ends=False)
    assert [p.name for p in tmp_path.iterdir()] == ["model.unfinished"]
    attempt(ends=True)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert (out / "tensorboard").is_dir()
    with pytest.raises(SaveError, match="exists already"):
        attempt(ends=True)


def test_gains_are_differences_to_the_first(tmp_path):
    model = _model(tmp_path)
    data = images_for(model.known_card(), tmp_path / "mine")
    found = compared({"before": model, "after": model}, data)
    rows = found.gains()
    assert rows["after"]["difference"]["mean"] == 0
    assert "difference" not in rows["before"]
    said = str(found.table())
    assert f"{100 * rows['before']['balanced accuracy']['mean']:.1f}" in said
    assert "0.0 [0.0, 0.0]" in said


def test_a_verdict_stands_where_the_interval_leaves_out_0(tmp_path):
    model = _model(tmp_path)
    data = images_for(model.known_card(), tmp_path / "mine")
    same = compared({"before": model, "after": model}, data)
    assert "after and before are the same" in same.verdicts()[0]
    right, wrong = (
        replace(same.answers["before"], decoded=_sure_of(data.y if ok else (data.y + 1) % 3))
        for ok in (True, False)
    )
    (worse,) = replace(same, answers={"a": right, "b": wrong}).verdicts()
    assert "b is WORSE than a" in worse
    assert replace(same, answers={"a": wrong, "b": right}).verdicts() == ["b is better than a."]


def test_a_stage_runs_from_folders_and_gives_predictor_scores_and_numbers(tmp_path):
    _model(tmp_path).save(tmp_path / "model")
    test = folder(tmp_path / "test", (3, 3, 3), first=50)
    told = []
    words = {"test": test, "out": tmp_path / "new", "tell": told.append, "steps": 1, "what": "bias"}
    run = medshot.run_stage("finetune", tmp_path / "model", tmp_path / "mine", **words)
    assert run.shown == told
    assert any("weights moved for 1 steps" in said for said in told if isinstance(said, str))
    assert list(run.scores.answers) == ["before", "fine-tuned"]
    assert run.to_json()["stage"] == "finetune"
    x = torch.rand(2, 1, toys.SIZE, toys.SIZE)
    assert torch.equal(medshot.load_predictor(tmp_path / "new")(x), run.predictor(x))
    assert run.save(tmp_path / "a.json").is_file()
    with pytest.raises(medshot.ConfigError, match="Did you mean 'finetune'"):
        medshot.run_stage("fine-tune", tmp_path / "model", tmp_path / "mine")


def _sure_of(y):
    return torch.nn.functional.one_hot(y, 3).double().numpy()
