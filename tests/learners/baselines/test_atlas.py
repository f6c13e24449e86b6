"""Registered masks that vote."""

import pytest
import torch

from medshot.core import Card, ConfigError, Examples
from medshot.core.predictor import load_predictor
from medshot.data.transforms import VolumePreprocessing
from medshot.learners import build
from medshot.nn.encoder import encoder
from medshot.tasks import Segmentation


def egg(middle: tuple[float, ...], shape=(16, 20, 18)) -> tuple[torch.Tensor, torch.Tensor]:
    """A soft bright egg with a core that is class 1."""
    axes = torch.meshgrid(*[torch.arange(float(s)) for s in shape], indexing="ij")
    apart = torch.stack([a - m for a, m in zip(axes, middle, strict=True)])
    distance = (apart / torch.tensor([1.0, 1.4, 1.2])[:, None, None, None]).square().sum(0).sqrt()
    return 0.1 + 0.8 * torch.sigmoid(5 - distance)[None], (distance < 3).long()


def support_of(*middles: tuple[float, ...]) -> Examples:
    pairs = [egg(middle) for middle in middles]
    return Examples(torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs]))


def atlas(**options):
    return build("atlas", encoder=encoder("voxels"), **options)


def overlap(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float(
        2 * ((found == 1) & (truth == 1)).sum() / ((found == 1).sum() + (truth == 1).sum())
    )


@pytest.mark.parametrize("shape", [(16, 20, 18), (20, 22, 18)])
def test_a_mask_follows_what_has_moved(shape):
    support = support_of((8, 10, 9))
    x, y = egg((9.5, 12, 7.5), shape)
    place = build("mean-mask", encoder=encoder("voxels")).adapt(support, Segmentation(2))
    found = atlas().adapt(support, Segmentation(2))(x[None]).argmax(1)[0]
    assert overlap(found, y) > overlap(place(x[None]).argmax(1)[0], y) + 0.15


def test_of_many_volumes_the_most_similar_vote():
    support = support_of((8, 10, 9), (5, 6, 6))
    support.y[1] = 0
    x, y = egg((8, 10, 9))
    found = atlas(voters=1).adapt(support, Segmentation(2))(x[None]).argmax(1)[0]
    assert overlap(found, y) > 0.9


def test_padding_with_black_changes_no_answer():
    predictor = atlas().adapt(support_of((8, 10, 9)), Segmentation(2))
    x, _ = egg((9, 11, 8))
    wide = torch.zeros(1, 1, 20, 20, 18)
    wide[0, :, :16] = x
    found = predictor(wide)
    torch.testing.assert_close(found[:, :, :16], predictor(x[None]))
    assert not found.argmax(1)[:, 16:].any()


def test_a_large_volume_is_coarsened(monkeypatch):
    monkeypatch.setattr("medshot.learners.baselines.atlas.MOST", 1500)
    x, y = egg((9, 11, 8))
    found = atlas().adapt(support_of((8, 10, 9)), Segmentation(2))(x[None])
    assert found.shape == (1, 2, 16, 20, 18)
    assert overlap(found.argmax(1)[0], y) > 0.7


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_constant_volume_gives_finite_answers(value):
    predictor = atlas().adapt(support_of((8, 10, 9)), Segmentation(2))
    assert predictor(torch.full((1, 1, 9, 9, 9), value)).isfinite().all()


def test_it_is_saved_and_loaded(tmp_path):
    predictor = atlas().adapt(support_of((8, 10, 9)), Segmentation(2))
    card = Card(Segmentation(2), ("background", "core"), VolumePreprocessing(), {})
    predictor.with_card(card).save(tmp_path / "model")
    x = egg((9, 11, 8))[0][None]
    torch.testing.assert_close(load_predictor(tmp_path / "model")(x), predictor(x))


def test_no_voters_are_refused():
    with pytest.raises(ConfigError, match="voters"):
        atlas(voters=0)
