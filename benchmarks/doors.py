"""Ways in to peers that do not import, or do not start, as they are.

Released packages of torchvision are built for CUDA: beside a CPU build of PyTorch, `import
torchvision` raises `RuntimeError: operator torchvision::nms does not exist`. No peer here calls
that operator, so medshot's own way in, which declares it, serves them too.

easyfsl 1.5.0's TaskSampler hands `data_source` to PyTorch's Sampler, whose constructor takes it
no more: a class between the two takes it instead. Nothing else of either peer is changed.
"""

import importlib
from types import ModuleType

from torch.utils.data import Sampler

from medshot.nn.encoders.external import patch_torchvision


def through_torchvision(name: str) -> ModuleType:
    """Import the module `name`, which imports torchvision."""
    patch_torchvision()
    return importlib.import_module(name)


def task_sampler() -> type[Sampler]:
    """easyfsl's TaskSampler."""

    class TakesSource(Sampler):
        def __init__(self, data_source: object = None) -> None:
            del data_source

    released = through_torchvision("easyfsl.samplers").TaskSampler
    return type("TaskSampler", (released, TakesSource), {})
