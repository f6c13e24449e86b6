"""Files that say their own architecture, and those that say something else."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from medshot.core.errors import DataError
from medshot.pretraining import load_encoder, save_encoder

ROWS = [
    {"op": "conv", "name": "stem", "stride": 2, "relu6": True},
    {"op": "conv", "name": "block1.expand", "stride": 1, "relu6": True},
    {"op": "dwconv", "name": "block1.dw", "stride": 1, "relu6": True},
    {"op": "conv", "name": "block1.project", "stride": 1, "relu6": False},
    {"op": "add_block_input"},
    {"op": "global_avg_pool"},
    {"op": "conv", "name": "classifier", "stride": 1, "relu6": False},
]
SHAPES = {
    "stem": (4, 3, 3, 3),
    "block1.expand": (8, 4, 1, 1),
    "block1.dw": (8, 1, 3, 3),
    "block1.project": (4, 8, 1, 1),
    "classifier": (10, 4, 1, 1),
}


def _file(at: Path, said: str | None = None, normalised: bool = False) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for name, shape in SHAPES.items():
        arrays[f"{name}.weight"] = rng.normal(size=shape).astype(np.float32) / 3
        names = ["weight", "bias", "running_mean", "running_var"] if normalised else []
        ours = [f"{name}.bn.{n}" for n in names] or [f"{name}.bias"]
        arrays |= {n: rng.random(shape[0]).astype(np.float32) for n in ours}
    arrays["arch_json"] = np.array(json.dumps(ROWS) if said is None else said)
    path = at / "net.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("normalised", [False, True])
def test_channels_and_size_are_ones_own_and_it_is_saved_like_any(
    tmp_path: Path, normalised: bool
) -> None:
    path = _file(tmp_path, normalised=normalised)
    colour, grey = (load_encoder(path, channels=c, size=17) for c in (3, 1))
    x = torch.rand(2, 1, 17, 17)
    torch.testing.assert_close(grey(x), colour(x.expand(-1, 3, -1, -1)), atol=1e-4, rtol=1e-4)
    assert grey.n_features == 4
    assert grey.scaling == ("signed" if normalised else "quantised")
    path.unlink()
    again = load_encoder(save_encoder(grey, tmp_path / "saved"))
    assert torch.equal(again(x), grey(x))


@pytest.mark.parametrize(
    "said",
    [
        "{",
        "3",
        "[3]",
        "[]",
        '[{"op": "conv"}]',
        '[{"op": "exec", "name": "stem", "stride": 1, "relu6": true}]',
        '[{"op": "conv", "name": "stem", "stride": 0, "relu6": true}]',
        '[{"op": "conv", "name": "none", "stride": 1, "relu6": true}]',
        '[{"op": "dwconv", "name": "block1.dw", "stride": 1, "relu6": true}]',
        '[{"op": "conv", "name": "stem", "stride": "2", "relu6": true}]',
    ],
)
def test_an_architecture_that_cannot_be_is_refused_by_name(tmp_path: Path, said: str) -> None:
    with pytest.raises(DataError, match=r"net\.npz"):
        load_encoder(_file(tmp_path, said))


def test_a_file_that_says_nothing_asks_for_the_network(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", a=np.zeros(3, np.float32))
    with pytest.raises(DataError, match=r"encoder\.network="):
        load_encoder(tmp_path / "plain.npz")
