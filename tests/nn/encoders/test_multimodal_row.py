"""Texts and tables as rows of numbers."""

import torch

from medshot.data.multimodal import hashed
from medshot.nn.encoders.multimodal import HashedText, Table


def test_texts_of_the_same_words_are_near_each_other():
    encoder = HashedText()
    a, b, c = encoder(
        torch.stack([hashed("patchy opacities"), hashed("opacities, patchy"), hashed("no fever")])
    )
    assert torch.cosine_similarity(a, b, 0) > 0.6 > torch.cosine_similarity(a, c, 0)


def test_a_table_is_seen_as_it_is_and_through_a_layer():
    x = torch.randn(3, 2, 32)
    assert torch.equal(Table()(x), x.flatten(1))
    deep = Table(hidden=5)
    found = deep(x)
    assert found.shape == (3, 69)
    torch.testing.assert_close(found[:, 64:], deep.hidden(x.flatten(1)).relu())
