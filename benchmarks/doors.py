"""Ways in to peers that do not import, or do not start, as they are.

Released packages of torchvision are built for CUDA: beside a CPU build of PyTorch, `import
torchvision` raises `RuntimeError: operator torchvision::nms does not exist`. No peer here calls
that operator, so it is declared (never defined) first; then the import goes through.

easyfsl 1.5.0's TaskSampler hands `data_source` to PyTorch's Sampler, whose constructor takes it
no more: a class between the two takes it instead. Nothing else of either peer is changed.
"""

import importlib
from types import ModuleType

import torch
from torch.utils.data import Sampler

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []  # kept alive: an operator lives as long as its library


def through_torchvision(name: str) -> ModuleType:
    """Import the module `name`, which imports torchvision."""
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)
    return importlib.import_module(name)


def task_sampler() -> type[Sampler]:
    """easyfsl's TaskSampler."""

    class TakesSource(Sampler):
        def __init__(self, data_source: object = None) -> None:
            del data_source

    released = through_torchvision("easyfsl.samplers").TaskSampler
    return type("TaskSampler", (released, TakesSource), {})
