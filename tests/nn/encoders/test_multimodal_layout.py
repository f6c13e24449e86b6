"""Rows of several kinds of data: what is packed is unpacked, what is missing is known."""

import pytest
import torch

from medshot.core.errors import ShapeError
from medshot.nn.encoders.multimodal import LAYOUT, WIDTH, packed, unpacked, without


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
