"""An image for an image: its loss, its start, what it refuses."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import toys
from medshot.core.errors import DataError, TaskError
from medshot.learners import build
from medshot.tasks import Enhancement
from medshot.tasks.enhancement import MARGIN, METRICS, MOST, in_tiles, psnr, ssim

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
    first, second = TASK.metric_inputs(found, wanted)
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
        TASK.to_prediction(torch.zeros(2, 8, 8), tmp_path / "a.png", toys.card())


# PSNR and SSIM against scikit-image.


RNG = np.random.default_rng(0)
WANTED = RNG.random((3, 24, 31))
FOUND = (WANTED + 0.1 * RNG.normal(size=WANTED.shape)).clip(0, 1)


def test_psnr_is_that_of_another_library():
    metrics = pytest.importorskip("skimage.metrics")
    expected = metrics.peak_signal_noise_ratio(WANTED, FOUND, data_range=1)
    assert psnr(FOUND, WANTED) == pytest.approx(expected)


def test_ssim_is_that_of_another_library():
    metrics = pytest.importorskip("skimage.metrics")
    like = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = metrics.structural_similarity(WANTED, FOUND, data_range=1, channel_axis=0, **like)
    assert ssim(FOUND, WANTED) == pytest.approx(expected)


def test_the_same_image_has_the_most_that_there_is():
    assert psnr(WANTED, WANTED) == MOST
    assert ssim(WANTED, WANTED) == pytest.approx(1)


def test_constant_and_tiny_images_have_numbers():
    flat, small = np.full((1, 16, 16), 0.5), RNG.random((1, 4, 4))
    assert 0 <= ssim(flat, np.zeros_like(flat)) < 0.1
    assert ssim(small, small) == pytest.approx(1)
    assert psnr(flat, np.zeros_like(flat)) == pytest.approx(10 * np.log10(4))


def test_a_metric_is_the_mean_over_images():
    evidence = np.array([20.0, 30.0]), np.array([0.5, 0.7])
    assert [metric(*evidence) for metric in METRICS.values()] == pytest.approx([25.0, 0.6])


# An answer tile by tile is the answer for the whole.


SEEN: list[int] = []


def blurred(x):
    SEEN.append(x[0, 0].numel())
    return F.avg_pool2d(F.pad(x, [5] * 4, mode="replicate"), 11, 1)


def test_tiles_that_overlap_give_what_the_whole_gives():
    x = torch.rand(2, 151, 97)
    SEEN.clear()
    found = in_tiles(blurred, x, tile=40)
    assert max(SEEN) <= (40 + 2 * MARGIN) ** 2 < x[0].numel()
    torch.testing.assert_close(found, blurred(x[None])[0])


def test_a_small_image_is_asked_at_once():
    SEEN.clear()
    in_tiles(blurred, torch.rand(1, 60, 50), tile=40)
    assert SEEN == [3000]
