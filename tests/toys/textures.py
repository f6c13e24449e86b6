"""Stripes that lie or stand, and a small MobileNet to tell them apart."""

import torch

from medshot.core.episode import Examples
from medshot.nn.encoders.mobilenet import MobileNet

CLASSES = 2


def small(blocks: int = 3) -> MobileNet:
    """A few blocks, untrained, with the features of two depths."""
    torch.manual_seed(0)
    rows = [["conv", "stem", 8, 3, 2, True, False, True]]
    for i in range(1, blocks + 1):
        rows.append(["dwconv", f"block{i}_dw", rows[-1][2], 3, 1, True, False, True])
        rows.append(["conv", f"block{i}_pw", 16 + 8 * (i // 3), 1, 1, True, False, True])
    return MobileNet(size=32, layers=rows, depths=("block2_pw", f"block{blocks}_pw")).eval()


def textures(each: int, seed: int = 0) -> Examples:
    """Stripes that lie or stand, in noise, of any place and brightness."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.arange(CLASSES).repeat(each)
    wave = torch.sin(1.5 * torch.arange(32.0) + 6 * torch.rand(len(y), 1, generator=rng))
    lying = wave[:, None, :, None].expand(-1, 3, -1, 32)
    x = torch.where(y.view(-1, 1, 1, 1) == 0, lying, lying.transpose(2, 3)) / 12 + 0.5
    return Examples((x + torch.randn(x.shape, generator=rng) / 3).clamp(0, 1), y)
