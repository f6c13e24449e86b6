"""Augmented episodes against loops, and what makes them safe to resume."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.data.augment import Mixed, Shifted
from medshot.data.episodes import EpisodeSampler, EpisodeSource
from toys.files import toy


def source() -> EpisodeSampler:
    made = toy([0] * 6 + [1] * 6 + [2] * 6)
    x = torch.randint(0, 256, (18, 2, 8, 8), dtype=torch.uint8)
    return EpisodeSampler(replace(made, x=x), way=3, shot=2, query=3)


BOTH = [lambda s, **o: Shifted(s, 2, **o), Mixed]


@pytest.mark.parametrize("around", BOTH)
def test_an_episode_is_a_function_of_seed_and_number(around: Callable[..., EpisodeSource]) -> None:
    inner = source()
    once, again = (around(inner).episode(4).query.x for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(around(inner, seed=1).episode(4).query.x, once)
    assert not torch.equal(around(inner).episode(5).query.x, once)
    assert torch.equal(around(inner).episode(4).query.y, inner.episode(4).query.y)


@pytest.mark.parametrize("around", BOTH)
def test_the_record_says_what_was_done(around: Callable[..., EpisodeSource]) -> None:
    said, inner = around(source(), seed=3).describe(), source().describe()
    assert inner.items() <= said.items()
    assert len(said) == len(inner) + 2


def test_every_image_is_moved_by_itself_and_nothing_is_lost_but_the_border() -> None:
    inner = source()
    before, after = (s.episode(0).support.x for s in (inner, Shifted(inner, 2)))
    ways = set()
    for image, moved in zip(before, after, strict=True):
        padded = torch.nn.functional.pad(image[None], [2] * 4, mode="replicate")[0]
        fits = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if torch.equal(padded[:, i : i + 8, j : j + 8], moved)
        ]
        assert len(fits) == 1
        ways.add(fits[0])
    assert len(ways) > 1


def test_a_class_is_blended_with_one_other_by_one_weight_of_at_least_a_half() -> None:
    inner = source()
    for i in range(5):
        plain, mixed = inner.episode(i), Mixed(inner).episode(i)
        weights, partners = set(), {}
        for before, after in ((plain.support, mixed.support), (plain.query, mixed.query)):
            for x, y, blend in zip(before.x, before.y.tolist(), after.x, strict=True):
                b, weight = _partner(x, blend, before)
                assert b != y
                assert partners.setdefault(y, b) == b
                weights.add(round(weight, 4))
        assert len(weights) == 1
        assert 0.5 <= weights.pop() <= 1
        assert len(set(partners.values())) == 3


def _partner(x: torch.Tensor, blend: torch.Tensor, among: object) -> tuple[int, float]:
    """Which class's image was blended in, and with which weight: the one that fits."""
    for other, y in zip(among.x, among.y.tolist(), strict=True):
        way = x - other
        if not way.any():
            continue
        weight = ((blend - other) * way).sum() / way.square().sum()
        if torch.allclose(other + weight * way, blend, atol=1e-5):
            return y, weight.item()
    raise AssertionError("no image of the episode fits")


@pytest.mark.parametrize(
    "wrong", [lambda: Shifted(source(), 0), lambda: Mixed(source(), alpha=0.0)]
)
def test_what_would_do_nothing_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(ConfigError, match="not 0"):
        wrong()
