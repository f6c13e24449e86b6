"""Members in closed form and the packaged network over them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import medshot
import toys
from medshot.core.episode import Examples
from medshot.core.errors import SaveError, TaskError
from medshot.data.episodes import ImageEpisodes
from medshot.learners import build, mask_blends
from medshot.learners.amortized import stacked_masks
from medshot.learners.amortized.stacked_masks import (
    MEMBERS,
    PACKAGED,
    label_shares,
    packaged_refiner,
)
from medshot.nn.encoder import encoder
from medshot.nn.mask_refiner import CELL
from medshot.nn.onnx import session_of
from medshot.stages.export.graph import answering
from medshot.tasks import Segmentation


def test_it_marks_what_it_was_shown():
    """Bright discs on noise: a disc at another place, larger, is found."""
    support, query = discs(2, 10, 0), discs(3, 16, 1)
    predictor = learner().adapt(support, Segmentation(2))
    found = predictor(query.x).argmax(1)
    assert dice(found, query.y) > 0.9


def test_every_member_has_scores_of_every_class():
    support = discs(2, 10, 0)
    predictor = learner().adapt(support, Segmentation(2))
    maps = predictor.maps(support.x)
    assert predictor.scores(maps).shape == (2, len(MEMBERS), 2, 64, 64)
    assert maps.pixels.shape == (2, 25, 64, 64)


def test_pixels_without_a_label_do_not_count():
    support = discs(2, 10, 0)
    y = support.y.clone()
    y[:, :, 40:] = -1
    noise = support.x.clone()
    noise[:, :, :, 44:] = torch.rand(2, 3, 64, 20)
    shares = label_shares(y, 2, (16, 16), support.x)
    assert (shares[:, :, :, 10:] == 0).all()
    assert learner().adapt(Examples(noise, y), Segmentation(2))(support.x).isfinite().all()


def test_the_graph_answers_as_the_predictor_does_for_any_number_of_images():
    support, query = discs(2, 10, 0), discs(3, 16, 1)
    card = replace(toys.card(2, channels=3, size=64), task=Segmentation(2))
    predictor = learner().adapt(support, Segmentation(2)).freeze().with_card(card)
    expected = predictor(query.x).softmax(1).numpy()
    session = session_of(answering(predictor).SerializeToString())
    for n in (3, 1):
        (found,) = session.run(["answer"], {"images": query.x[:n].numpy()})
        np.testing.assert_allclose(found, expected[:n], atol=1e-4)


def test_gray_images_and_other_sizes():
    support = discs(2, 10, 0, channels=1)
    made = build("stacked-masks", encoder=encoder("mobilenet", channels=1, size=64))
    assert made.adapt(support, Segmentation(2))(support.x).shape == (2, 2, 64, 64)


def test_an_encoder_of_whole_images_is_refused():
    task = Segmentation(2)
    with pytest.raises(TaskError, match="unet"):
        build("stacked-masks", encoder=encoder("conv4")).check(task)


def test_a_damaged_refiner_is_refused(tmp_path):
    shutil.copytree(PACKAGED, tmp_path / "refiner")
    file = tmp_path / "refiner" / "refiner.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(SaveError, match="refiner"):
        packaged_refiner(str(tmp_path / "refiner"))
    with pytest.raises(SaveError, match="nowhere"):
        packaged_refiner(str(tmp_path / "nowhere"))


def test_refiners_are_not_shared():
    first, second = packaged_refiner(), packaged_refiner()
    next(first.parameters()).data.zero_()
    assert next(second.parameters()).any()


def test_real_masks_are_marked_better_than_by_place_alone(real_data):
    data = medshot.load(real_data / "seg_wbc1", task="segmentation").at(3, 128)
    episode = ImageEpisodes(data, shot=4, query=8, seed=5).episode(0)
    scores = []
    for made in (learner(128), build("mean-mask", encoder=encoder("filters"))):
        answers = made.adapt(episode.support, episode.task)(episode.query.x).detach()
        inputs = episode.task.metric_inputs(answers.numpy(), episode.query.y.numpy())
        scores.append(episode.task.metrics["Dice"](*inputs))
    assert scores[0] > 0.8
    assert scores[0] > scores[1] + 0.2


def learner(size: int = 64):
    return build("stacked-masks", encoder=encoder("mobilenet", size=size))


def dice(found, y) -> float:
    return float(2 * (found * y).sum() / (found.sum() + y.sum()))


def discs(n: int, radius: int, seed: int, channels: int = 3, contrast: float = 0.4) -> Examples:
    rng = torch.Generator().manual_seed(seed)
    places = torch.randint(radius, 64 - radius, (n, 2), generator=rng)
    grid = torch.stack(torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij"))
    y = ((grid - places[:, :, None, None]).square().sum(1) < radius**2).long()
    x = 0.2 * torch.rand(n, channels, 64, 64, generator=rng) + 0.3 + contrast * y[:, None]
    return Examples(x, y)


def test_refinement_is_kept_where_it_marks_images_left_out_better(monkeypatch):
    """The start marks too much."""
    wrong = packaged_refiner()
    wrong.head.bias.data[-(CELL**2) :] += 3.0
    monkeypatch.setattr(stacked_masks, "packaged_refiner", lambda folder: wrong)
    monkeypatch.setattr(mask_blends, "BLENDS", mask_blends.BLENDS[:1])
    support, task = discs(4, 12, 2, contrast=0.2), Segmentation(2)
    few, many = (
        build("stacked-masks", encoder=encoder("mobilenet", size=64), refine=steps)
        for steps in (0, 25)
    )
    ready, tuned = (
        dice(each.adapt(support, task)(support.x).argmax(1), support.y) for each in (few, many)
    )
    assert tuned > ready + 0.02


def test_refinement_that_does_not_help_is_not_kept():
    """Bright discs are marked already."""
    support, task = discs(4, 12, 2), Segmentation(2)
    made = build("stacked-masks", encoder=encoder("mobilenet", size=64), refine=2)
    answers = [each.adapt(support, task)(support.x) for each in (made, learner())]
    torch.testing.assert_close(*answers)


def test_one_image_is_too_few_to_refine():
    support = discs(1, 9, 2)
    made = build("stacked-masks", encoder=encoder("mobilenet", size=64), refine=3)
    answers = [each.adapt(support, Segmentation(2))(support.x) for each in (made, learner())]
    torch.testing.assert_close(*answers)
