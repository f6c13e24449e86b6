""""""

import pytest
import torch
from torch import nn

import medshot
from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError
from medshot.training.device import choose_device, limit_threads, place, place_episode
from toys.training import blobs


def test_auto_is_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("auto").type in ("cuda", "mps", "cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("mps")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "cpu:x", "meta", "xla", "vulkan"])
def test_a_device_that_is_not_here(name: str) -> None:
    with pytest.raises(ConfigError, match=r"There is no device .* here"):
        choose_device(name)


def test_the_cpu_is_here() -> None:
    assert choose_device("cpu") == torch.device("cpu")


def test_channels_last_is_a_layout_and_changes_no_value() -> None:
    layer = nn.Conv2d(3, 4, 3)
    before = layer.weight.detach().clone()
    place(layer, torch.device("cpu"), channels_last=False)
    assert layer.weight.is_contiguous()
    place(layer, torch.device("cpu"), channels_last=True)
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize("channels_last", [False, True])
def test_an_episode_keeps_its_values_and_its_patients(channels_last: bool) -> None:
    episode = medshot.EpisodeSampler(blobs(), way=3, shot=2, query=2).episode(0)
    three = Examples(
        episode.support.x.expand(-1, 3, -1, -1), episode.support.y, episode.support.groups
    )
    placed = place_episode(
        Episode(episode.task, three, episode.query), torch.device("cpu"), channels_last
    )
    assert torch.equal(placed.support.x, three.x)
    assert torch.equal(placed.support.y, three.y)
    assert torch.equal(placed.support.groups, three.groups)
    assert placed.support.x.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_volumes_have_no_channels_last() -> None:
    examples = Examples(torch.rand(2, 1, 4, 4, 4), torch.tensor([0, 1]))
    task = medshot.Classification(2)
    placed = place_episode(Episode(task, examples, examples), torch.device("cpu"), True)
    assert torch.equal(placed.query.x, examples.x)


# One thread within, as many as before after, also when something breaks.


def test_threads_are_given_back():
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError), limit_threads():
            _ = 1 // (torch.get_num_threads() - 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
