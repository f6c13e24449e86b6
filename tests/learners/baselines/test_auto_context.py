"""A voxel classifier that reads its own first answers."""

import pytest
import torch

from medshot.core import Card, ConfigError, DataError, Examples
from medshot.core.predictor import load_predictor
from medshot.data.transforms import VolumePreprocessing
from medshot.learners import build
from medshot.nn.encoder import encoder
from medshot.tasks import Segmentation


def organs(n: int, shape=(14, 18, 16), seed: int = 0) -> Examples:
    """A bright ball near the middle is class 1, one of equal brightness at the side background."""
    rng = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid(*[torch.arange(float(s)) for s in shape], indexing="ij")
    x, y = torch.zeros(n, 1, *shape), torch.zeros(n, *shape, dtype=torch.long)
    for i in range(n):
        moved = torch.randn(3, generator=rng) * 0.7

        def ball(*middle: float, moved=moved):
            at = [a - s * m - d for a, s, m, d in zip(axes, shape, middle, moved, strict=True)]
            return torch.stack(at).square().sum(0) < 9.5

        y[i][ball(0.5, 0.4, 0.4)] = 1
        x[i, 0] = 0.3 + 0.5 * (ball(0.5, 0.4, 0.4) | ball(0.5, 0.8, 0.8)).float()
        x[i, 0] += 0.1 * torch.randn(shape, generator=rng)
    return Examples(x.clamp(0.01, 1), y)


def learner(**options):
    return build("auto-context", encoder=encoder("voxels"), **options)


def overlap(found: torch.Tensor, truth: torch.Tensor) -> float:
    found, truth = found == 1, truth == 1
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()).clamp(min=1))


@pytest.mark.parametrize(("n", "least"), [(1, 0.6), (4, 0.75)])
def test_it_finds_what_brightness_or_place_alone_does_not(n, least):
    support, query = organs(n), organs(3, seed=9)
    found = learner(steps=80).adapt(support, Segmentation(2))(query.x).argmax(1)
    place = build("mean-mask", encoder=encoder("voxels")).adapt(support, Segmentation(2))
    assert overlap(found, query.y) > max(least, overlap(place(query.x).argmax(1), query.y))
    bright = (query.x[:, 0] > 0.55).long()
    assert overlap(found, query.y) > overlap(bright, query.y)


def test_padding_with_black_changes_no_answer():
    support, query = organs(2), organs(1, seed=9)
    predictor = learner(steps=20).adapt(support, Segmentation(2))
    wide = torch.zeros(1, 1, 20, 24, 16)
    wide[:, :, :14, :18] = query.x
    found = predictor(wide)
    torch.testing.assert_close(found[:, :, :14, :18], predictor(query.x))
    assert not found.argmax(1)[:, 14:].any()
    assert not found.argmax(1)[:, :, 18:].any()


def test_padding_of_the_support_is_not_learned_from():
    support = organs(2)
    x, y = torch.zeros(2, 1, 20, 24, 16), torch.full((2, 20, 24, 16), -1)
    x[:, :, :14, :18], y[:, :14, :18] = support.x, support.y
    plain, padded = (
        learner(steps=20).adapt(each, Segmentation(2)) for each in (support, Examples(x, y))
    )
    torch.testing.assert_close(plain(support.x), padded(support.x), atol=1e-4, rtol=1e-3)


def test_scales_are_equal_in_mm():
    predictor = learner(steps=1).adapt(organs(1), Segmentation(2, (3.0, 1.0, 1.0)))
    maps = predictor.maps
    z = torch.zeros(1, 15, 45, 45)
    z[0, 7, 22, 22] = 1
    derived = maps.derived(z, 0)[-1]  # the widest blur, 4 mm
    assert derived[7 + 2, 22, 22] == pytest.approx(float(derived[7, 22 + 6, 22]), rel=0.05)


def test_a_large_volume_is_coarsened_and_answered_on_its_grid(monkeypatch):
    monkeypatch.setattr("medshot.learners.baselines.auto_context.MOST", 2000)
    predictor = learner(steps=60).adapt(organs(2), Segmentation(2))
    query = organs(1, seed=9)
    assert min(predictor.maps.voxel) > 1
    found = predictor(query.x)
    assert found.shape == (1, 2, 14, 18, 16)
    assert overlap(found.argmax(1), query.y) > 0.4


def test_a_volume_is_answered_whole():
    predictor = learner(steps=5).adapt(organs(1), Segmentation(2))
    query = organs(1, shape=(100, 12, 12), seed=9)
    torch.testing.assert_close(predictor.predict_batches(query.x), predictor(query.x))


@pytest.mark.parametrize("how", ["constant", "empty mask", "one voxel", "one"])
def test_odd_volumes_give_finite_answers(how):
    support = organs(2)
    x, y = support.x.clone(), support.y.clone()
    if how == "constant":
        x[0] = 0.5
        x[1] = 0.0
    elif how == "empty mask":
        y[1] = 0
    elif how == "one voxel":
        y[:] = 0
        y[0, 7, 7, 7] = 1
    elif how == "one":
        x, y = x[:1], y[:1]
    predictor = learner(steps=20).adapt(Examples(x, y), Segmentation(2))
    assert predictor(organs(1, seed=9).x).isfinite().all()
    assert predictor(torch.zeros(1, 1, 4, 4, 4)).isfinite().all()


def test_an_image_is_a_volume_of_one_slice():
    support = organs(2)
    flat = Examples(support.x[:, :, 7].expand(-1, 3, -1, -1), support.y[:, 7])
    made = learner(steps=20)
    predictor = made.adapt(flat, Segmentation(2))
    assert predictor(flat.x).shape == (2, 2, 18, 16)
    deep = made.adapt(Examples(support.x[:, :, 7:8], support.y[:, 7:8]), Segmentation(2))
    torch.testing.assert_close(
        predictor(flat.x)[:, :, None], deep(support.x[:, :, 7:8]), atol=1e-3, rtol=1e-3
    )


def test_it_is_saved_and_loaded(tmp_path):
    support = organs(2)
    predictor = learner(steps=5).adapt(support, Segmentation(2))
    card = Card(Segmentation(2), ("background", "organ"), VolumePreprocessing(), {})
    predictor.with_card(card).save(tmp_path / "model")
    again = load_predictor(tmp_path / "model")
    torch.testing.assert_close(again(support.x), predictor(support.x))


def test_values_that_are_no_numbers_are_refused_to_learn_from_and_black_to_answer():
    support = organs(2)
    predictor = learner(steps=5).adapt(support, Segmentation(2))
    support.x[0, 0, 3] = torch.nan
    assert predictor(support.x).isfinite().all()
    with pytest.raises(DataError, match="not finite"):
        learner(steps=5).adapt(support, Segmentation(2))


def test_no_steps_are_refused():
    with pytest.raises(ConfigError, match="steps"):
        learner(steps=0)


def test_the_most_similar_of_many_volumes_vote_with_a_weight_that_falls():
    few, many = organs(1), organs(6)
    one, six = (learner(steps=20, voters=2).adapt(s, Segmentation(2)) for s in (few, many))
    assert len(six.atlas.values) == 6
    assert six.atlas.voters == 2
    apart = []
    query = organs(1, seed=9).x
    for predictor in (one, six):
        whole, atlas = predictor(query).softmax(1), predictor.atlas(query).softmax(1)
        predictor.atlas = None
        alone = predictor(query).softmax(1)
        weight = ((whole - alone) * (atlas - alone)).sum() / (atlas - alone).square().sum()
        apart.append(float(weight))
    assert apart[0] == pytest.approx(1 / 2, abs=0.05)
    assert apart[1] == pytest.approx(1 / 3, abs=0.05)
    assert learner(steps=5, voters=0).adapt(few, Segmentation(2)).atlas is None
