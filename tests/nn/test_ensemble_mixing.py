"""A mean of probabilities, written as an output again."""

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.core.task import task_of
from medshot.nn.ensemble import comparable, mixed, refuse_unknown_link

WHOLE = ("classification", "multi-label", "regression")


@pytest.mark.parametrize("kind", WHOLE)
def test_what_it_decodes_to_is_the_weighted_mean_of_what_members_decode_to(kind):
    task, outputs = task_of(kind, 3), 3 * torch.randn(4, 5, 3, dtype=torch.float64)
    scores = torch.randn(4, dtype=torch.float64)
    found = task.decode(mixed(outputs, scores, str(task.link)))
    slow = sum(w * task.decode(o) for w, o in zip(scores.softmax(0), outputs, strict=True))
    torch.testing.assert_close(found, slow)


def test_grades_are_averaged_question_by_question():
    task, outputs = task_of("ordinal", 2), torch.tensor([[[3.0, -1.0]], [[0.5, -2.0]]]).double()
    found = task.decode(mixed(outputs, torch.zeros(2).double(), "sigmoid"))
    slow = (task.decode(outputs[0]) + task.decode(outputs[1])) / 2
    torch.testing.assert_close(found, slow)


@pytest.mark.parametrize("kind", ["segmentation", "enhancement"])
def test_every_site_is_averaged_by_itself(kind):
    task, outputs = task_of(kind, 3), torch.rand(2, 2, 3, 4, 5)
    scores = torch.tensor([0.3, -0.2])
    found = mixed(outputs, scores, str(task.link))
    alone = mixed(outputs[..., 2, 3], scores, str(task.link))
    torch.testing.assert_close(found[..., 2, 3], alone)


def test_a_member_that_is_sure_and_has_no_weight_changes_nothing():
    outputs = torch.tensor([[[0.2, -0.1]], [[500.0, -500.0]]])
    found = mixed(outputs, torch.tensor([0.0, -1e4]), "softmax")
    torch.testing.assert_close(found.softmax(1), outputs[0].softmax(1))


def test_log_odds_are_comparable_without_their_offset():
    outputs = torch.randn(2, 3, 4)
    torch.testing.assert_close(comparable(outputs + 7, "softmax"), outputs.log_softmax(2))
    assert torch.equal(comparable(outputs, "identity"), outputs)


def test_an_unknown_link_is_named_with_those_that_are():
    with pytest.raises(ConfigError, match=r"'softmx'.*softmax"):
        refuse_unknown_link("softmx")
