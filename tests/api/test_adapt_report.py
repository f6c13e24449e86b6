"""What `adapt` says of its own work."""

from pathlib import Path

import torch

from medshot.api.adapt import adapted
from medshot.api.resolve import automatic
from medshot.data.load import load_one
from medshot.learners.registry import build
from toys import conv4
from toys.commands import folder

BASELINES = "ImageNet linear probe", "linear-probe on pixels", "ridge on mean color"


def test_a_named_learner_is_judged_beside_the_baseline(tmp_path: Path) -> None:
    learner = build("nearest-centroid", encoder=conv4())
    dataset = load_one(folder(tmp_path / "a"), channels=1, size=16)
    predictor, report = adapted(learner, dataset, "medshot adapt a")
    assert report.metrics is not None
    assert report.metrics.methods == ("nearest-centroid on conv4", *BASELINES)
    assert report.metrics.unit == "image"
    assert len(report.differences) == 3
    assert report.confusion is not None
    assert report.confusion.counts.sum() == len(dataset)
    assert report.provenance is not None
    assert report.provenance.command == "medshot adapt a"
    assert report.provenance.options == {"scale": "10.0"}
    assert any("patient" in warning for warning in report.warnings)
    assert any("Only 12 images" in warning for warning in report.warnings)
    whole = learner.adapt(dataset)
    x = dataset.examples().x
    assert torch.equal(predictor(x), whole(x)), "the predictor saved learned from everything"


def test_auto_says_what_it_chose(tmp_path: Path) -> None:
    _, report = adapted(automatic(), load_one(folder(tmp_path / "a")), "")
    assert report.provenance is not None
    chosen = report.provenance.options["chosen by auto"]
    assert report.summary.endswith(f"of 3 candidates, auto chose {chosen}.")
    assert report.metrics is not None
    assert report.metrics.methods == ("auto", *BASELINES)
    assert report.metrics.rows[0].estimates[0].mean > 0.8, "bars in different places"


def test_a_baseline_is_not_compared_with_itself(tmp_path: Path) -> None:
    dataset = load_one(folder(tmp_path / "a"), channels=1, size=16)
    _, report = adapted(build("linear-probe", encoder="pixels"), dataset, "")
    assert report.metrics is not None
    assert report.metrics.methods == (BASELINES[1], BASELINES[0], BASELINES[2])
    assert [each.baseline for each in report.differences] == [BASELINES[0], BASELINES[2]]
