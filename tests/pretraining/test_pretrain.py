"""`pretrain`: the original untouched, gone on with after a kill, and what it saw is known."""

from dataclasses import replace

import pytest
import torch

import medshot
from medshot.core.errors import ConfigError, DataError, LeakError, TaskError
from medshot.evaluation.episodes import refuse_seen
from medshot.nn import UNet3d
from medshot.pretraining import pretrain
from toys.pretraining import small, stripes


def _same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_encoder_that_was_given_stays_as_it_was() -> None:
    encoder = small()
    before = small()
    before.load_state_dict(encoder.state_dict())
    learned = pretrain(encoder, stripes(), steps=3, batch=8)
    assert _same(encoder, before)
    assert encoder.origin == "untrained"
    assert not _same(learned, before)
    assert not learned.training


def test_killed_and_gone_on_it_ends_with_the_same_bits(tmp_path) -> None:
    torch.manual_seed(0)
    encoder = small()
    options = {"objective": "contrast", "batch": 8, "judge_every": 5}
    whole = pretrain(encoder, stripes(), steps=20, **options)
    pretrain(encoder, stripes(), steps=10, folder=tmp_path, **options)
    gone_on = pretrain(encoder, stripes(), steps=20, folder=tmp_path, **options)
    assert _same(gone_on, whole)
    assert gone_on.about["history"] == whole.about["history"]


def test_other_settings_in_the_same_folder_are_refused(tmp_path) -> None:
    pretrain(small(), stripes(), steps=1, batch=8, folder=tmp_path)
    with pytest.raises(ConfigError, match="another options"):
        pretrain(small(), stripes(), steps=1, batch=8, folder=tmp_path, mask=0.1)
    other = replace(stripes(), hash="of others")
    with pytest.raises(ConfigError, match="another data"):
        pretrain(small(), other, steps=1, batch=8, folder=tmp_path)


def test_what_it_saw_is_known_to_learners_and_refused_to_be_judged_on() -> None:
    learned = pretrain(small(), stripes(), steps=2, batch=8)
    learner = medshot.build("nearest-centroid", encoder=learned)
    assert learner.origin == "pretrained (reconstruct) on stripes, best at step 2"
    with pytest.raises(LeakError, match="on 3 class"):
        refuse_seen(stripes(), learned.seen)
    refuse_seen(replace(stripes(), hash="of others"), learned.seen)
    card = learner.adapt(stripes()).known_card()
    assert card.learner["origin"] == learner.origin


def test_pretrained_twice_both_are_told() -> None:
    first = pretrain(small(), stripes(), steps=1, batch=8)
    other = replace(stripes(seed=1), name="more", hash="of more")
    second = pretrain(first, other, "contrast", steps=1, batch=8)
    assert "on more" in second.origin
    assert "after: pretrained (reconstruct)" in second.origin
    assert [part["hash"] for part in second.seen] == ["of stripes", "of more"]


def test_meta_training_begins_from_it_and_says_so(tmp_path) -> None:
    learned = pretrain(small(), stripes(), steps=1, batch=8)
    other = replace(stripes(seed=1), name="more", hash="of more")
    learner = medshot.build("prototypical", encoder=learned)
    medshot.train(learner, other, out=tmp_path, way=2, shot=1, query=1, steps=1, val_episodes=2)
    run = medshot.load_run(tmp_path)
    assert "its encoder before: pretrained (reconstruct)" in run.learner.origin
    assert {part["hash"] for part in run.about["seen"]} == {"of more", "of stripes"}
    again = medshot.load_encoder(tmp_path)
    assert again.origin == run.learner.origin
    assert len(again.seen) == len(run.about["seen"])


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"objective": "reconstrukt"}, ConfigError, "Did you mean 'reconstruct'"),
        ({"maks": 0.5}, ConfigError, "Did you mean 'mask'"),
        ({"sets": []}, ConfigError, "no option of the objective 'reconstruct' called 'sets'"),
        ({"batch": 1}, ConfigError, "at least 2"),
        ({"steps": -1}, ConfigError, "steps=-1"),
        ({"encoder": UNet3d(width=8, depth=1)}, TaskError, "not those of volumes"),
        ({"data": stripes(3).subset(torch.tensor([0, 1]))}, DataError, "too few to hold"),
    ],
)
def test_what_cannot_be_is_said(given, error, told) -> None:
    with pytest.raises(error, match=told):
        pretrain(**{"encoder": small(), "data": stripes(), "steps": 1, **given})
