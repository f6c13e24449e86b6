"""`medshot.adapt`: what the command does, in Python."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import medshot
from toys import conv4
from toys.commands import folder


def test_a_folder_gives_predictor_report_and_scores(tmp_path: Path) -> None:
    source = folder(tmp_path / "mine")
    learner = medshot.build("nearest-centroid", encoder=conv4())
    found = medshot.adapt(source, learner=learner)
    scores = found.scores["balanced accuracy"]
    assert scores.low <= scores.mean <= scores.high
    assert str(found) == found.report.summary
    place = found.save(tmp_path / "model")
    assert (place / "report.html").is_file()
    image = next(source.rglob("*.png"))
    said = medshot.load_predictor(place).predict(image)
    assert said.probabilities == found.predictor.predict(image).probabilities


def test_a_data_set_gives_the_same_and_random_numbers_go_on_as_before(tmp_path: Path) -> None:
    source = folder(tmp_path / "mine", (3, 3))
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    words = {"learner": "lda", "encoder": "conv4", "options": ["encoder.size=16"]}
    first = medshot.adapt(source, **words)
    assert torch.equal(torch.rand(3), wanted)
    second = medshot.adapt(medshot.load(source, channels=3, size=16), **words)
    x = torch.rand(2, 3, 16, 16)
    assert torch.equal(first.predictor(x), second.predictor(x))


def test_where_nothing_can_be_left_out_there_are_no_scores(tmp_path: Path) -> None:
    learner = medshot.build("nearest-centroid", encoder=conv4())
    assert medshot.adapt(folder(tmp_path / "mine", (1, 1)), learner=learner).scores == {}


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    with pytest.raises(medshot.MedshotError, match="learner"):
        medshot.adapt(folder(tmp_path / "mine"), learner="prototypcal")


def test_what_a_check_finds_on_the_images_stands_in_the_report(tmp_path: Path) -> None:
    for i in range(12):  # the classes differ in size, which a learner could exploit
        label, side = ("a", 40) if i % 2 else ("b", 64)
        (tmp_path / label).mkdir(exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 255, (side, side), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / label / f"{i}.png")
    found = medshot.adapt(tmp_path, learner="nearest-centroid", encoder="pixels")
    (said,) = [each for each in found.report.warnings if "a shortcut" in each]
    assert said in [each.sentence for each in medshot.check(tmp_path).findings]
