from typing import Any

import pytest
import torch

import medshot
from medshot.core.errors import DataError, LeakError
from medshot.data.augment import Mixed, Shifted
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler, Mixture
from medshot.training.sources import episode_sources, seen
from toys.training import blobs

CPU = torch.device("cpu")


def _sources(data: Any, val: Any = None, **other: Any) -> Any:
    given = {
        "way": 3,
        "shot": 1,
        "query": 2,
        "seed": 0,
        "device": CPU,
        "encoder": torch.nn.Identity(),
    }
    return episode_sources(data, val, **given | other)


def test_images_are_brought_into_the_form_of_the_encoder() -> None:
    encoder = medshot.encoder("conv4", channels=1, size=16, width=8)
    taught, judged = _sources(blobs(), encoder=encoder)
    assert (
        taught.episode(0).support.x.shape[1:] == judged.episode(0).query.x.shape[1:] == (1, 16, 16)
    )


def _pictures(dataset: Dataset) -> set[bytes]:
    return {bytes(image.numpy().tobytes()) for image in dataset.x}


def test_a_fifth_of_many_classes_is_held_out() -> None:
    data = blobs(20)
    taught, judged = _sources(data)
    learned, held = set(taught.dataset.labels), set(judged.dataset.labels)
    assert (len(learned), len(held)) == (16, 4)
    assert not learned & held
    assert learned | held == set(data.labels)
    assert not _pictures(taught.dataset) & _pictures(judged.dataset)


@pytest.mark.parametrize("patients", [True, False])
def test_a_fifth_of_the_patients_of_few_classes_is_held_out(patients: bool) -> None:
    data = blobs(14, patients=patients)  # 15 would be 5 x way
    taught, judged = _sources(data)
    assert taught.dataset.labels == judged.dataset.labels == data.labels
    learned, held = (set(s.dataset.groups.tolist()) - {-1} for s in (taught, judged))
    assert not learned & held
    assert not _pictures(taught.dataset) & _pictures(judged.dataset)
    assert len(judged.dataset) / len(data) == pytest.approx(0.2, abs=0.03)
    for source in (taught, judged):
        for i in range(5):
            episode = source.episode(i)
            assert (len(episode.support), len(episode.query)) == (3, 6)


def test_another_seed_holds_out_others() -> None:
    held = {_sources(blobs(20), seed=seed)[1].dataset.labels for seed in range(4)}
    assert len(held) > 1


def test_of_several_data_sets_each_is_split_and_the_small_ones_give_all_their_classes() -> None:
    taught, judged = _sources([blobs(20, name="many"), blobs(2, name="few")])
    assert isinstance(taught, Mixture)
    assert isinstance(judged, Mixture)
    for source in (taught, judged):
        ways = {source.episode(i).task.n_outputs for i in range(30)}
        assert ways == {2, 3}
    for a, b in zip(taught.sources, judged.sources, strict=True):
        assert not _pictures(a.dataset) & _pictures(b.dataset)
    assert [part["data"] for part in taught.describe()["mixture"]] == ["many", "few"]


def test_validation_data_of_its_own_is_taken_whole_and_splits_nothing() -> None:
    data, val = blobs(20, seed=1), blobs(6, seed=2)
    taught, judged = _sources(data, val, seed=4)
    assert taught.dataset.labels == data.labels
    assert judged.dataset.hash == val.hash
    assert len(judged.dataset) == len(val)
    assert (taught.describe()["seed"], judged.describe()["seed"]) == (4, 5)


def test_episodes_made_elsewhere_are_used_as_they_are() -> None:
    own = EpisodeSampler(blobs(), way=4, shot=2, query=3)
    taught, judged = _sources(own, own)
    assert taught is own
    assert judged is own
    with pytest.raises(DataError, match="Give `val` too"):
        _sources(own)
    assert _sources(own, blobs(5))[0] is own


def test_an_episode_never_has_a_patient_twice() -> None:
    for source in _sources(blobs(14)):
        for i in range(10):
            episode = source.episode(i)  # LeakError if it had
            shared = torch.isin(episode.support.groups, episode.query.groups)
            assert not shared.any()
    assert issubclass(LeakError, DataError)


def test_a_held_out_part_that_is_too_small_says_that_it_is_the_held_out_part() -> None:
    with pytest.raises(DataError, match=r"needs 9 images.*`val`"):
        _sources(blobs(3), query=8)
    with pytest.raises(DataError, match="too few for 5-way") as caught:
        _sources(blobs(3), blobs(5), way=5)
    assert "held out" not in str(caught.value)


def test_what_was_seen_is_known_through_an_augmentation() -> None:
    inner = EpisodeSampler(blobs(), way=3, shot=1, query=2)
    expected = seen(inner)
    assert expected
    assert seen(Shifted(Mixture([inner]), 1)) == seen(Mixture([Mixed(inner)])) == expected
