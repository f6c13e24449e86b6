"""Auto keeps what predicts the support best, and is judged as one who chooses."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import toys
from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.registry import make, recipe
from medshot.core.task import Task
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.cross_validation import cross_validate
from medshot.evaluation.episodes import can_be_encoded, evaluate
from medshot.learners.registry import build
from medshot.selection import Auto, cross_validator
from toys.candidates import TASK, Guess, pixels, some_images


def _dataset(n: int = 10) -> Dataset:
    support = some_images(n)
    return replace(toys.dataset(2, n), x=(support.x * 255).byte(), y=support.y)


def _auto() -> Auto:
    return Auto([Guess(pixels()), build("lda", encoder=pixels())]).eval()


def test_it_takes_what_is_clearly_better_wherever_it_stands() -> None:
    guess, good = Guess(pixels()), build("lda", encoder=pixels())
    for candidates in ([guess, good], [good, guess]):
        assert Auto(candidates).choose(some_images(), TASK) is good


def test_it_is_deterministic_and_the_first_of_equals() -> None:
    encoder = pixels()
    same = [build("lda", encoder=encoder) for _ in range(3)]
    chosen = [Auto(same).choose(some_images(seed=s), TASK) for s in (0, 0, 1)]
    assert all(c is same[0] for c in chosen)
    made = _auto()
    first, second = (made.adapt(some_images(), TASK)(some_images(seed=1).x) for _ in range(2))
    assert torch.equal(first, second)


def test_where_nothing_can_be_left_out_it_takes_the_first() -> None:
    made = _auto()
    alone = Examples(*(part[:2] for part in (some_images().x, some_images().y)))
    one_patient_each = some_images(groups=torch.arange(2).repeat(10))
    for support in (alone, one_patient_each):
        assert made.choose(support, TASK) is made.candidates[0]
        assert made.adapt(support, TASK)(support.x).shape == (len(support), 2)


def test_patients_are_left_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = torch.arange(20) // 2 % 5 * 2 + torch.arange(2).repeat(10)
    support = some_images(groups=groups)
    seen = []
    real = cross_validator.folds_of

    def spy(shows: Tensor, groups: Tensor, most: int) -> list[tuple[Tensor, Tensor]]:
        seen.extend(real(shows, groups, most=most))
        return seen

    monkeypatch.setattr(cross_validator, "folds_of", spy)
    _auto().choose(support, TASK)
    assert seen
    for rest, held in seen:
        assert not set(groups[rest].tolist()) & set(groups[held].tolist())


def test_its_recipe_makes_it_again() -> None:
    made = _auto()
    again = make(recipe(made))
    again.load_state_dict(made.state_dict())
    assert recipe(again) == recipe(made)
    support = some_images()
    assert torch.equal(made.adapt(support, TASK)(support.x), again.adapt(support, TASK)(support.x))


def test_a_candidate_that_moves_its_encoder_is_judged_on_images() -> None:
    moving = build("finetune", encoder=toys.conv4(), steps=3)
    made = Auto([Guess(pixels()), moving]).eval()
    assert made.choose(some_images(4), TASK) in list(made.candidates)


def test_of_a_large_support_a_part_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_validator, "MOST", 12)
    asked = []

    class Counting(Guess):
        def learn(self, support: Examples, task: Task) -> Predictor:
            asked.append(len(support))
            return super().learn(support, task)

    good = build("lda", encoder=pixels())
    assert Auto([Counting(pixels()), good]).choose(some_images(40), TASK) is good
    assert max(asked) < 12


def test_an_outer_cross_validation_chooses_again_in_every_fold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = []
    real = Auto.choose

    def spy(self: Auto, support: Examples, task: Task) -> Learner:
        sizes.append(len(support))
        return real(self, support, task)

    monkeypatch.setattr(Auto, "choose", spy)
    found = cross_validate(_auto(), _dataset())
    assert sizes == [16] * 5, "chosen without the images that are left out"
    assert found.interval("balanced accuracy").mean > 0.9


def test_episodes_judge_it_on_images() -> None:
    sampler = EpisodeSampler(_dataset(), way=2, shot=4, query=4)
    assert not can_be_encoded(_auto(), sampler)
    assert evaluate(_auto(), sampler, episodes=2).interval("accuracy").mean > 0.8
