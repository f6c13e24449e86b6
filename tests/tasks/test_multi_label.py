"""Findings: each is there or not."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

import toys
from medshot.core.errors import DataError
from medshot.tasks import MultiLabel
from medshot.tasks.multi_label import bernoulli_kl, macro_auroc, macro_f1, mean_average_precision

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
    found = MultiLabel(2).to_prediction(torch.tensor([3.0, -3.0]), Path("x.png"), toys.card(2))
    assert found.labels == ("class 0",)
    assert found.probabilities["class 1"] == pytest.approx(F.sigmoid(torch.tensor(-3.0)).item())
    assert MultiLabel(2).to_prediction(-torch.ones(2), Path("x.png"), toys.card(2)).labels == ()


def test_a_support_needs_images_with_a_label_and_without():
    assert MultiLabel(2).present_classes(Y).tolist()[0] == [True, False, False, True]
    assert MultiLabel(2).present_classes(Y)[3].any()


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


# Questions of yes or no: as far apart as a slow sum says.


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_it_is_the_sum_of_both_answers(temperature):
    ours, theirs = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    total = 0.0
    for a, b in zip(ours.flatten().tolist(), theirs.flatten().tolist(), strict=True):
        p, q = (1 / (1 + math.exp(-v / temperature)) for v in (a, b))
        total += q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))
    found = bernoulli_kl(ours, theirs, temperature)
    assert found.item() == pytest.approx(temperature**2 * total / 12)


def test_the_same_is_not_apart_and_certainty_is_no_nan():
    sure = torch.tensor([200.0, -200.0])
    assert bernoulli_kl(sure, sure) == 0
    assert bernoulli_kl(-sure, sure) == 200


# Scores of findings, against scikit-learn.


RNG = np.random.default_rng(0)
PRESENT = RNG.integers(0, 2, (30, 3))
P = (0.3 * PRESENT + RNG.uniform(0, 0.7, PRESENT.shape)).round(1)  # with ties


def test_values_are_those_of_scikit_learn():
    assert macro_auroc(P, PRESENT) == pytest.approx(roc_auc_score(PRESENT, P, average="macro"))
    expected = average_precision_score(PRESENT, P, average="macro")
    assert mean_average_precision(P, PRESENT) == pytest.approx(expected)
    assert macro_f1(P, PRESENT) == pytest.approx(f1_score(PRESENT, P > 0.5, average="macro"))


def test_a_label_that_is_nowhere_has_no_rank():
    nowhere = PRESENT * [1, 1, 0]
    assert np.isnan([macro_auroc(P, nowhere), mean_average_precision(P, nowhere)]).all()
    assert np.isnan(macro_auroc(P, 1 - nowhere))


def test_f1_leaves_out_what_is_neither_claimed_nor_true():
    p, y = P * [1, 1, 0], PRESENT * [1, 1, 0]
    assert macro_f1(p, y) == pytest.approx(f1_score(y[:, :2], p[:, :2] > 0.5, average="macro"))
    assert macro_f1(np.zeros((2, 1)), np.zeros((2, 1), dtype=int)) == 1
