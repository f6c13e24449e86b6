"""What held shares no patient with what teaches, and all sets take turns."""

from dataclasses import replace

import pytest
import torch

from medshot.core.errors import DataError
from medshot.pretraining.batches import BatchSource, held_out
from medshot.pretraining.objective import Objective
from toys.pretraining import small, stripes


class _Noted(Objective):
    """Notes what it is shown."""

    def __init__(self) -> None:
        super().__init__(small())
        self.shown: list[tuple[int, int, bool]] = []

    def loss(self, x, y, which, rng):
        del y
        self.shown.append((which, len(x), self.training))
        return x.sum() + torch.rand((), generator=rng)


def _batches(batch: int = 8) -> BatchSource:
    halves = [held_out(stripes(n), 0) for n in (60, 12)]
    taught, held = zip(*halves, strict=True)
    return BatchSource(_Noted(), taught, held, batch, 0, torch.device("cpu"))


def test_no_patient_teaches_and_judges() -> None:
    data = replace(stripes(), groups=torch.arange(60) // 5)
    taught, held = held_out(data, 0)
    assert len(taught) + len(held) == 60
    assert len(held) == 5
    assert not set(taught.groups.tolist()) & set(held.groups.tolist())


def test_images_of_nobody_known_are_held_out_one_by_one() -> None:
    assert [len(part) for part in held_out(stripes(), 0)] == [54, 6]


@pytest.mark.parametrize("images", [2, 60])
def test_too_few_images_or_patients_are_said(images: int) -> None:
    own = torch.arange(60) if images == 2 else torch.zeros(60, dtype=torch.long)
    data = replace(stripes(), groups=own).subset(torch.arange(images))
    with pytest.raises(DataError, match=r"stripes has .* too few"):
        held_out(data, 0)


def test_the_sets_take_turns_and_batches_are_full_where_they_can_be() -> None:
    batches = _batches(batch=16)
    for step in range(4):
        batches.loss(step)
    assert batches.objective.shown == [(0, 16, True), (1, 11, True)] * 2


def test_a_step_is_a_function_of_its_number_and_judging_is_always_the_same() -> None:
    batches = _batches()
    assert torch.equal(batches.loss(3), batches.loss(3))
    assert not torch.equal(batches.loss(3), batches.loss(5))
    assert batches.val_loss() == batches.val_loss()
    assert not batches.objective.shown[-1][2], "judged as it will be used"
