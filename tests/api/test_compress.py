"""Each step by itself and the chain; images without labels; tables that say what was gained."""

from pathlib import Path

import pytest
import torch

import toys
from medshot.api.compress import gather_scalars, in_steps, pictures, score_table
from medshot.core.episode import Examples
from medshot.core.errors import DataError, TaskError
from medshot.data.dataset import Dataset
from medshot.data.load import load
from medshot.evaluation.comparison import compared
from medshot.learners.registry import build
from medshot.stages.compress.cost import Cost, cost_table
from toys.commands import folder, picture


def test_each_step_is_done_alone_and_then_all_in_order(tmp_path):
    original = build("nearest-centroid", encoder=toys.conv4()).adapt(toys.dataset())
    seen = []

    def step(name):
        def make(predictor, place):
            seen.append((name, len(predictor.card.stages), place.name))
            copied = predictor.freeze()
            return copied.with_card(predictor.card.after(name))

        return make

    found = in_steps(original, {n: step(n) for n in ("a", "b", "c")}, tmp_path)
    assert list(found) == ["original", "a", "b", "c", "a, b, c"]
    assert [s["stage"] for s in found["a, b, c"].card.stages] == ["a", "b", "c"]
    chain = [("b", 1, "b in the chain"), ("c", 2, "c in the chain")]
    assert seen == [("a", 0, "a"), ("b", 0, "b"), ("c", 0, "c"), *chain]
    assert list(in_steps(original, {"a": step("a")}, tmp_path)) == ["original", "a"]


def test_what_can_be_done_in_the_chain_alone_is_left_out_by_itself(tmp_path):
    original = build("nearest-centroid", encoder=toys.conv4()).adapt(toys.dataset())

    def late(predictor, place):
        if predictor is original:
            raise TaskError("It has no channels.")
        return predictor

    steps = {"distil": lambda predictor, place: predictor.freeze(), "prune": late}
    told = []
    found = in_steps(original, steps, tmp_path, told.append)
    assert list(found) == ["original", "distil", "distil, prune"]
    assert told == ["  - prune alone is left out: It has no channels."]
    with pytest.raises(TaskError):
        in_steps(original, {"prune": late}, tmp_path)


def test_scalars_of_all_steps_come_together(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "tensorboard").mkdir(parents=True)
    gather_scalars(tmp_path)
    assert sorted(p.name for p in (tmp_path / "tensorboard").iterdir()) == ["a", "b"]


def test_images_that_lie_in_a_folder_need_no_labels(tmp_path):
    card = build("nearest-centroid", encoder=toys.conv4()).adapt(toys.dataset(2)).card
    plain = tmp_path / "plain"
    plain.mkdir()
    for i in range(3):
        picture(0, i).save(plain / f"{i}.png")
    found = pictures(card, plain)
    assert isinstance(found, Examples)
    assert found.x.shape == (3, 1, toys.SIZE, toys.SIZE)
    mine = folder(tmp_path / "mine", (2, 2), labels=("class 0", "class 1"))
    assert isinstance(pictures(card, mine), Dataset)
    with pytest.raises(DataError, match="no such folder"):
        pictures(card, tmp_path / "nowhere")


def test_the_tables_say_how_much_smaller_and_faster(tmp_path: Path):
    data = load(folder(tmp_path / "mine", (4, 4)))
    model = build("nearest-centroid", encoder=toys.conv4()).adapt(data)
    known = {"original": Cost(0.8, 4.0, 12.34), "prune 0.5": Cost(0.1, 1.0, None)}
    images = data.at(1, toys.SIZE)
    first, second = cost_table(known).rows
    assert first == ("original", "0.800", "4.00", "12.3", "", "")
    assert second == ("prune 0.5", "0.100", "1.00", "not known", "8.0x", "4.0x")
    first, second = score_table(compared(dict.fromkeys(known, model), images), "mine").rows
    assert first[2] == ""
    assert second[2] == "0.0 [0.0, 0.0]"
    assert torch.equal(images.y, data.y)
