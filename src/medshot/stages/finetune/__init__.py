"""Fine-tune a predictor on its support or on new images."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medshot.stages.finetune.automatic import AutoTuned as AutoTuned
    from medshot.stages.finetune.learner import FineTuned as FineTuned
    from medshot.stages.finetune.methods import FineTuneMethod as FineTuneMethod
    from medshot.stages.finetune.methods import default_method as default_method
    from medshot.stages.finetune.methods import get_method as get_method

# Imported lazily: the declaration of the stage in this package must not import PyTorch.
_HOME = {
    "AutoTuned": "automatic",
    "FineTuneMethod": "methods",
    "FineTuned": "learner",
    "default_method": "methods",
    "get_method": "methods",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
