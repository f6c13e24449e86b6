"""Images to be degraded, out of any folder."""

import torch

from medshot.data.degraded import clean_images
from toys.pairs import pairs


def test_images_of_class_folders_are_their_own_targets(tmp_path):
    source = pairs(tmp_path / "pairs", 6)
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for i in range(6):
        picture = source / "clean" / f"{i}.png"
        picture.rename(tmp_path / "set" / "ab"[i % 2] / picture.name)
    found = clean_images(tmp_path / "set", size=24)
    assert found.x.shape == (6, 1, 24, 24)
    assert torch.equal(found.x, found.y)
    assert not found.rows


def test_of_many_some_are_drawn_once_and_for_all(tmp_path):
    folder = pairs(tmp_path / "set", 6)
    first, again = (clean_images(folder, size=16, most=3) for _ in range(2))
    assert len(first) == 3
    assert torch.equal(first.x, again.x)
