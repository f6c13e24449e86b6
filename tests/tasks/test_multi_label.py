"""Findings: each is there or not."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import toys
from medshot.core.errors import DataError
from medshot.tasks import MultiLabel

Y = torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0]])


def test_the_loss_is_the_binary_cross_entropy_of_each_label():
    output = torch.randn(4, 2)
    p = output.sigmoid()
    slow = -torch.where(Y == 1, p.log(), (1 - p).log()).mean()
    torch.testing.assert_close(MultiLabel(2).loss(output, Y), slow)


def test_the_sign_of_an_encoded_target_decides_as_that_of_an_output():
    rows = MultiLabel(2).encode(Y, like=torch.zeros(()))
    assert (MultiLabel(2).decode(rows) > 0.5).equal(Y == 1)


def test_an_answer_names_what_is_likely():
    found = MultiLabel(2).answer(torch.tensor([3.0, -3.0]), Path("x.png"), toys.card(2))
    assert found.labels == ("class 0",)
    assert found.probabilities["class 1"] == pytest.approx(F.sigmoid(torch.tensor(-3.0)).item())
    assert MultiLabel(2).answer(-torch.ones(2), Path("x.png"), toys.card(2)).labels == ()


def test_a_support_needs_images_with_a_label_and_without():
    assert MultiLabel(2).shows(Y).tolist()[0] == [True, False, False, True]
    assert MultiLabel(2).shows(Y)[3].any()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (torch.zeros(3, dtype=torch.int64), "a row of 2 zeros and ones"),
        (Y.float(), "a row of 2 zeros and ones"),
        (2 * Y, "other numbers than 0"),
        (Y * torch.tensor([1, 0]), r"Label number\(s\) \[1\] are on no image"),
        (Y | torch.tensor([1, 0]), r"Label number\(s\) \[0\] are on every image"),
        (Y[:0], "are on no image"),
    ],
)
def test_what_cannot_be_learned_is_refused(target, words):
    with pytest.raises(DataError, match=words):
        MultiLabel(2).check(target)
