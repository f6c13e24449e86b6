"""Views are what their seed says, and keep what the images hold."""

import torch

from medshot.stages.compress.imitation import views


def test_one_seed_is_one_view():
    x = torch.rand(6, 2, 16, 16)
    assert torch.equal(views(x, 3), views(x, 3))
    assert not torch.equal(views(x, 3), views(x, 4))


def test_unmixed_each_is_its_image_mirrored_or_not_and_moved():
    x = torch.arange(16.0).expand(8, 1, 16, 16) + 100 * torch.arange(8.0).view(-1, 1, 1, 1)
    seen = views(x, 0, mixed=False)
    slopes = seen.diff(dim=3)[..., 4:-4]
    for image, slope in zip(seen, slopes, strict=True):
        assert slope.unique().tolist() in ([1.0], [-1.0])
        assert len((image // 100).unique()) == 1
    assert len(slopes.unique()) == 2


def test_mixed_about_half_are_between_two():
    x = torch.eye(40).view(40, 40, 1, 1, 1).expand(-1, -1, 8, 8, 8)
    shares = views(x, 0)[:, :, 0, 0, 0]
    torch.testing.assert_close(shares.sum(1), torch.ones(40))
    alone = int((shares.max(1).values == 1).sum())
    assert 10 < alone < 30
    assert bool((shares.diagonal() > 0).all())
