"""One learner for labels and masks: on an encoder that keeps the grid, whole images are pooled."""

import pytest
import torch

import medshot
import toys
from medshot.core.episode import Episode, Examples
from medshot.core.errors import TaskError
from medshot.learners import build
from medshot.nn.encoders.adapters import Pooled
from medshot.tasks import Classification, Segmentation


def _both(seed: int) -> tuple[Episode, Episode]:
    """Masks, and of the same images the class that has most of each."""
    masks = toys.episode(Segmentation(2), seed, shots=8, queries=8)
    whole = masks.query.y.flatten(1).double().mean(1)
    y = (whole.argsort().argsort() >= len(whole) // 2).long()
    shown, asked = Examples(masks.query.x[::2], y[::2]), Examples(masks.query.x[1::2], y[1::2])
    return masks, Episode(Classification(2), shown, asked)


@pytest.mark.parametrize("name", ["prototypical", "ridge", "linear-probe", "nearest-centroid"])
def test_whole_images_are_the_mean_over_sites(name):
    learner = build(name, encoder=toys.encoder(Segmentation(2)))
    x, y = torch.rand(6, 8, 16, 16), torch.tensor([0, 1] * 3)
    found = learner.adapt(Examples(x, y), Classification(2))(x)
    alone = build(name, encoder=Pooled(encoder=learner.encoder))
    torch.testing.assert_close(found, alone.adapt(Examples(x, y), Classification(2))(x))
    assert found.shape == (6, 2)


def test_tasks_of_both_kinds_teach_one_learner():
    torch.manual_seed(0)
    learner = build("prototypical", encoder=toys.encoder(Segmentation(2)), distance="mean-squared")
    before = [learner.meta_loss(episode).item() for episode in _both(99)]
    optimizer = torch.optim.Adam(learner.parameters(), 0.01)
    for step in range(40):
        optimizer.zero_grad()
        learner.meta_loss(_both(step // 2)[step % 2]).backward()
        optimizer.step()
    masks, labels = (learner.meta_loss(episode).item() for episode in _both(99))
    assert masks < before[0] - 0.1
    assert labels < before[1] + 0.1  # not forgotten for the other


def test_a_pooled_predictor_is_saved_and_read(tmp_path):
    learner = build("prototypical", encoder=toys.encoder(Segmentation(2)))
    x, y = torch.rand(4, 8, 16, 16), torch.tensor([0, 1, 0, 1])
    predictor = learner.adapt(Examples(x, y), Classification(2)).freeze()
    predictor.with_card(toys.card(2)).save(tmp_path / "model")
    torch.testing.assert_close(medshot.load_predictor(tmp_path / "model")(x), predictor(x))


def test_masks_still_need_an_encoder_that_keeps_the_grid():
    with pytest.raises(TaskError, match="unet"):
        build("prototypical", encoder=toys.conv4()).check(Segmentation(2))
    with pytest.raises(TaskError, match="conv4"):
        build("maml", encoder=toys.encoder(Segmentation(2))).check(Classification(2))
