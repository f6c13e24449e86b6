"""EfficientNet-Lite0, as trained in TensorFlow."""

from collections.abc import Iterator

from medshot.core import part
from medshot.nn.encoders.mobilenet import ADD, Layer, MobileNet

# per stage: kernel, stride of the first block, expansion, channels, blocks
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STEM, HEAD = 32, 1280  # channels


@part("encoder", "efficientnet-lite0")
class EfficientNetLite0(MobileNet):
    """EfficientNet-Lite0 without its classification head, untrained; 1280 features.

    Source: Tan and Le 2019, arXiv:1905.11946. The authors' Lite variant replaces Swish by ReLU6
    and drops squeeze-and-excitation, so that it consists of MobileNetV2 blocks; it was trained on
    images of 224 pixels in [-1, 1].
    """

    source = "Tan and Le 2019, arXiv:1905.11946"

    def __init__(self, *, channels: int = 3, size: int = 224, scaling: str = "signed") -> None:
        super().__init__(channels=channels, size=size, layers=list(lite0()), scaling=scaling)


def lite0() -> Iterator[Layer]:
    """Layers of EfficientNet-Lite0 without its head, in the format of `MobileNet`."""
    yield "conv", "stem", STEM, 3, 2, True, True, False
    before, blocks = STEM, 0
    for kernel, first, expansion, channels, count in STAGES:
        for stride in [first] + [1] * (count - 1):
            name, wide = f"block{blocks}", before * expansion
            if expansion > 1:
                yield "conv", f"{name}_expand", wide, 1, 1, True, True, False
            yield "dwconv", f"{name}_dw", wide, kernel, stride, True, True, False
            yield "conv", f"{name}_project", channels, 1, 1, False, True, False
            if stride == 1 and before == channels:
                yield (ADD,)
            before, blocks = channels, blocks + 1
    yield "conv", "head", HEAD, 1, 1, True, True, False
