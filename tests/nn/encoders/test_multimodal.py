"""Kinds of data joined late and by attention; a missing one is not looked at."""

import pytest
import torch

import medshot
from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError, ShapeError
from medshot.data.multimodal import hashed
from medshot.nn.encoders.multimodal import (
    LAYOUT,
    WIDTH,
    HashedText,
    Joined,
    TableEncoder,
    packed,
    unpacked,
    without,
)

TASK = medshot.Classification(2)


def _rows(n: int, seed: int = 0) -> Examples:
    """The class shows in the text of some and in the table of the others."""
    rng, y = torch.Generator().manual_seed(seed), torch.arange(2).repeat(n // 2)
    rows = []
    for i, c in enumerate(y.tolist()):
        table, text = torch.zeros(LAYOUT["table"]), torch.zeros(LAYOUT["text"])
        table[0, :4] = 2 * c - 1 + 0.5 * torch.randn(4, generator=rng)
        table[1, :4] = 1
        text[c] = 1
        rows.append(packed({"table": table} if i % 4 < 2 else {"text": text}))
    return Examples(torch.stack(rows), y)


@pytest.mark.parametrize("join", ["late", "attention"])
@pytest.mark.parametrize("name", ["linear-probe", "prototypical", "finetune", "maml"])
def test_learners_take_rows_as_they_take_images(join, name):
    torch.manual_seed(0)
    learner = medshot.build(name, encoder=medshot.encoder("joined", join=join, width=8))
    support, query = _rows(12), _rows(8, seed=1)
    predictor = learner.adapt(support, TASK)
    with torch.no_grad():
        together = predictor(query.x)
        torch.testing.assert_close(predictor(query.x[:1]), together[:1], atol=1e-4, rtol=1e-4)
    if name == "linear-probe":
        assert (together.argmax(1) == query.y).double().mean() > 0.8
    if learner.trainable:
        learner.meta_loss(Episode(TASK, support, query)).backward()
        found = [p.grad for n, p in learner.named_parameters() if "text.embedding" in n]
        assert found
        assert any(g is not None and g.abs().sum() > 0 for g in found)


def test_attention_learns_from_rows_that_each_lack_something():
    torch.manual_seed(0)
    encoder = medshot.encoder("joined", join="attention", width=8)
    learner = medshot.build("finetune", encoder=encoder, steps=40, lr=0.003)
    support, query = _rows(16), _rows(16, seed=1)
    before = medshot.build("finetune", encoder=encoder, steps=0).adapt(support, TASK)
    score = (learner.adapt(support, TASK)(query.x).argmax(1) == query.y).double().mean()
    assert score > 0.85 > (before(query.x).argmax(1) == query.y).double().mean()


@pytest.mark.parametrize("join", ["late", "attention"])
def test_what_lies_in_the_place_of_a_missing_kind_does_not_matter(join):
    torch.manual_seed(0)
    encoder = Joined(join=join, width=8).eval()
    x = without(_rows(8).x, "text")
    dirty = x.clone()
    dirty[:, -10:] = 7  # values of a signal whose flag says that it is missing
    torch.testing.assert_close(encoder(dirty), encoder(x))


def test_late_joining_is_features_one_after_the_other_and_learned_rows():
    torch.manual_seed(0)
    encoder = Joined(width=8).eval()
    with torch.no_grad():
        encoder.join.missing[2].fill_(0.5)
    x = _rows(4).x
    found = encoder(x)
    table = encoder.branches["table"](x[:1, 12290:12354].unflatten(1, (2, 32)))
    first = encoder.branches["image"].n_features
    torch.testing.assert_close(found[:1, first : first + 64], table / 8)
    assert (found[0, first + 64 : first + 64 + 256] == 0.5).all()


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"'early'.*late"):
        Joined(join="early")
    with pytest.raises(ConfigError, match=r"'gru'.*signal-gru"):
        Joined(signal="gru")
    with pytest.raises(ShapeError):
        Joined()(torch.zeros(2, 64))


# Rows of several kinds of data: what is packed is unpacked, what is missing is known.


def test_what_is_packed_is_unpacked():
    parts = {name: torch.randn(shape) for name, shape in LAYOUT.items()}
    row = packed(parts)
    assert row.shape == (WIDTH,)
    for name, (there, values) in unpacked(row[None]).items():
        assert there.tolist() == [True]
        assert torch.equal(values[0], parts[name])


def test_what_is_missing_is_known_to_be_so():
    rows = torch.stack([packed({"text": torch.ones(1024)}), packed({"table": torch.ones(2, 32)})])
    there = {name: known.tolist() for name, (known, _) in unpacked(rows).items()}
    assert there == {
        "image": [False, False],
        "text": [True, False],
        "table": [False, True],
        "signal": [False, False],
    }
    assert not without(rows, "text")[0].any()
    assert torch.equal(without(rows, "text")[1], rows[1])
    assert rows[0].any()


def test_another_shape_is_refused():
    with pytest.raises(ShapeError, match="text is"):
        packed({"text": torch.ones(3)})


# Texts and tables as rows of numbers.


def test_texts_of_the_same_words_are_near_each_other():
    encoder = HashedText()
    a, b, c = encoder(
        torch.stack([hashed("patchy opacities"), hashed("opacities, patchy"), hashed("no fever")])
    )
    assert torch.cosine_similarity(a, b, 0) > 0.6 > torch.cosine_similarity(a, c, 0)


def test_a_table_is_seen_as_it_is_and_through_a_layer():
    x = torch.randn(3, 2, 32)
    assert torch.equal(TableEncoder()(x), x.flatten(1))
    deep = TableEncoder(hidden=5)
    found = deep(x)
    assert found.shape == (3, 69)
    torch.testing.assert_close(found[:, 64:], deep.hidden(x.flatten(1)).relu())
