"""Examples keep images and targets together; an episode lets no patient on both sides."""

import jaxtyping
import pytest
import torch

from medshot.core.episode import Episode, Examples
from medshot.core.errors import LeakError, ShapeError
from medshot.tasks import Classification


def _examples(groups=None, n=4):
    known = None if groups is None else torch.tensor(groups)
    return Examples(torch.rand(n, 1, 2, 2), torch.arange(n) % 2, known)


def test_every_image_needs_a_target(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is outside of tests
    with pytest.raises(ShapeError, match="3 images but 2 targets"):
        Examples(torch.rand(3, 1, 2, 2), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    "index", [slice(1, 3), torch.tensor([1, 2]), torch.tensor([False, True, True, False])]
)
def test_an_index_takes_images_targets_and_patients(index):
    examples = _examples([5, 6, 7, 8])
    part = examples[index]
    assert len(part) == 2
    assert part.groups.tolist() == [6, 7]
    assert torch.equal(part.x, examples.x[1:3])
    assert torch.equal(part.y, examples.y[1:3])


def test_to_casts_the_images_and_not_the_targets():
    moved = _examples([1, 2, 3, 4]).to(torch.zeros((), dtype=torch.float64))
    assert (moved.x.dtype, moved.y.dtype) == (torch.float64, torch.int64)
    assert moved.groups.tolist() == [1, 2, 3, 4]


def test_a_patient_on_both_sides_is_refused_by_number():
    with pytest.raises(LeakError, match=r"1 patient.*number 3"):
        Episode(Classification(2), _examples([1, 2, 3, 3]), _examples([3, 4, 5, 6]))


@pytest.mark.parametrize(
    ("support", "query"),
    [([1, 2, 1, 2], [3, 4, 3, 4]), ([-1] * 4, [-1] * 4), (None, [1, 2, 3, 4]), (None, None)],
    ids=["apart", "unknown", "half known", "not known at all"],
)
def test_patients_apart_or_unknown_are_fine(support, query):
    Episode(Classification(2), _examples(support), _examples(query))
