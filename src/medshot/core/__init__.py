"""Core abstractions: examples, episode, task, learner, predictor. Imports no other package.

A module is imported on the first use of one of its names: `medshot --help` must not wait for
PyTorch. Inside this package, import from the module itself.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medshot.core.episode import Episode as Episode
    from medshot.core.episode import Examples as Examples
    from medshot.core.errors import ConfigError as ConfigError
    from medshot.core.errors import DataError as DataError
    from medshot.core.errors import LeakError as LeakError
    from medshot.core.errors import MedshotError as MedshotError
    from medshot.core.errors import SaveError as SaveError
    from medshot.core.errors import ShapeError as ShapeError
    from medshot.core.errors import TaskError as TaskError
    from medshot.core.errors import TrainingError as TrainingError
    from medshot.core.errors import unknown as unknown
    from medshot.core.learner import Learner as Learner
    from medshot.core.learner import SupportSet as SupportSet
    from medshot.core.prediction import WRITERS as WRITERS
    from medshot.core.prediction import Answers as Answers
    from medshot.core.prediction import BoxPrediction as BoxPrediction
    from medshot.core.prediction import FindingsPrediction as FindingsPrediction
    from medshot.core.prediction import ImagePrediction as ImagePrediction
    from medshot.core.prediction import MaskPrediction as MaskPrediction
    from medshot.core.prediction import NumberPrediction as NumberPrediction
    from medshot.core.prediction import PointPrediction as PointPrediction
    from medshot.core.prediction import Prediction as Prediction
    from medshot.core.prediction import mask_numbers as mask_numbers
    from medshot.core.predictor import SIDE as SIDE
    from medshot.core.predictor import SITES as SITES
    from medshot.core.predictor import Predictor as Predictor
    from medshot.core.predictor import any_tensor as any_tensor
    from medshot.core.predictor import eval_mode as eval_mode
    from medshot.core.predictor import freeze_copy as freeze_copy
    from medshot.core.predictor import load_predictor as load_predictor
    from medshot.core.predictor import unfreeze_copy as unfreeze_copy
    from medshot.core.predictor import versions as versions
    from medshot.core.predictor import write_folder as write_folder
    from medshot.core.registry import PARTS as PARTS
    from medshot.core.registry import Registry as Registry
    from medshot.core.registry import called as called
    from medshot.core.registry import described as described
    from medshot.core.registry import import_files as import_files
    from medshot.core.registry import make as make
    from medshot.core.registry import names as names
    from medshot.core.registry import needed as needed
    from medshot.core.registry import options_of as options_of
    from medshot.core.registry import part as part
    from medshot.core.registry import recipe as recipe
    from medshot.core.table import Result as Result
    from medshot.core.table import Table as Table
    from medshot.core.table import Tabular as Tabular
    from medshot.core.table import write_json as write_json
    from medshot.core.task import TASKS as TASKS
    from medshot.core.task import Card as Card
    from medshot.core.task import Form as Form
    from medshot.core.task import Metric as Metric
    from medshot.core.task import Preprocessing as Preprocessing
    from medshot.core.task import Restoring as Restoring
    from medshot.core.task import Storing as Storing
    from medshot.core.task import Task as Task
    from medshot.core.task import is_fraction as is_fraction
    from medshot.core.task import kind_in as kind_in
    from medshot.core.task import kinds_among as kinds_among
    from medshot.core.task import positions as positions

_MODULES = {
    "medshot.core.episode": "Episode Examples",
    "medshot.core.errors": (
        "ConfigError DataError LeakError MedshotError SaveError ShapeError TaskError "
        "TrainingError unknown"
    ),
    "medshot.core.learner": "Learner SupportSet",
    "medshot.core.prediction": (
        "Answers BoxPrediction FindingsPrediction ImagePrediction MaskPrediction "
        "NumberPrediction PointPrediction Prediction WRITERS mask_numbers"
    ),
    "medshot.core.predictor": (
        "Predictor SIDE SITES any_tensor eval_mode freeze_copy load_predictor unfreeze_copy "
        "versions write_folder"
    ),
    "medshot.core.registry": (
        "PARTS Registry called described import_files make names needed options_of part recipe"
    ),
    "medshot.core.table": "Result Table Tabular write_json",
    "medshot.core.task": (
        "Card Form Metric Preprocessing Restoring Storing TASKS Task is_fraction kind_in "
        "kinds_among positions"
    ),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
