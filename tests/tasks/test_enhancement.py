"""An image for an image: its loss, its start, what it refuses."""

import numpy as np
import pytest
import torch

import toys
from medshot.core.errors import DataError, TaskError
from medshot.learners import build
from medshot.tasks import Enhancement
from medshot.tasks.enhancement import psnr, ssim

TASK = Enhancement(2)


def test_the_loss_is_the_smooth_absolute_error():
    output, target = torch.rand(2, 2, 4, 4), torch.rand(2, 2, 4, 4)
    slow = [((a - b) ** 2 + 1e-6) ** 0.5 for a, b in zip(output.flatten(), target.flatten())]  # noqa: B905
    torch.testing.assert_close(TASK.loss(output, target), torch.stack(slow).mean())


def test_answers_are_cut_to_what_an_image_can_be():
    assert TASK.decode(torch.tensor([[-1.0, 0.5, 2.0]])).tolist() == [[0.0, 0.5, 1.0]]


def test_a_head_that_has_learned_nothing_gives_the_image_back():
    x = torch.rand(5, 6)
    weight, bias = TASK.first_head(6, like=x)
    assert torch.equal(x @ weight + bias, x[:, :2])


def test_evidence_is_a_number_an_image():
    found, wanted = np.random.default_rng(0).random((2, 3, 2, 16, 16))
    first, second = TASK.evidence(found, wanted)
    assert first.tolist() == [psnr(a, b) for a, b in zip(found, wanted, strict=True)]
    assert second.tolist() == [ssim(a, b) for a, b in zip(found, wanted, strict=True)]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (torch.zeros(2, 8, 8), "n 2 h w"),
        (torch.zeros(2, 2, 8, 8, dtype=torch.int64), "int64"),
        (torch.zeros(2, 3, 8, 8), "of shape"),
        (torch.full((2, 2, 8, 8), 1.5), "outside"),
        (torch.full((2, 2, 8, 8), float("nan")), "NaN"),
        (torch.zeros(0, 2, 8, 8), "no image in the support"),
    ],
)
def test_what_is_no_image_is_refused(target, said):
    with pytest.raises(DataError, match=said):
        TASK.check(target)


def test_an_encoder_that_hides_the_image_is_refused():
    from medshot.nn import UNet  # noqa: PLC0415

    learner = build("finetune", encoder=UNet(channels=8, size=16, width=8, depth=2))
    episode = toys.episode(Enhancement(3))
    with pytest.raises(TaskError, match="'dncnn'"):
        learner.adapt(episode.support, episode.task)


def test_a_preprocessing_that_cannot_go_back_is_refused(tmp_path):
    with pytest.raises(TaskError, match="cannot turn the output"):
        TASK.answer(torch.zeros(2, 8, 8), tmp_path / "a.png", toys.card())
