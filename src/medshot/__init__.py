"""medshot: meta-learning for medical images. A learner maps a support set to a predictor."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medshot.api.adapt import Adaptation, adapt
    from medshot.api.catalog import bibtex, list_encoders, list_learners
    from medshot.api.check import check
    from medshot.api.compare import compare, cross_validate, evaluate
    from medshot.api.demo import demo
    from medshot.api.episodes import EpisodeEvaluation, evaluate_episodes, list_protocols
    from medshot.api.evaluation import Evaluation
    from medshot.api.robustness import robustness
    from medshot.api.selecting import Selected, select, select_learner
    from medshot.api.stage_runs import Exported, StageRun, export, run_stage
    from medshot.api.training import pretrain, train
    from medshot.core.atomic import refuse_taken
    from medshot.core.episode import Episode, Examples
    from medshot.core.errors import (
        ConfigError,
        DataError,
        LeakError,
        MedshotError,
        SaveError,
        TaskError,
    )
    from medshot.core.learner import Learner
    from medshot.core.options import Option, declared_options, option
    from medshot.core.plugins import use
    from medshot.core.prediction import (
        BoxPrediction,
        ImagePrediction,
        MaskPrediction,
        PointPrediction,
        Prediction,
    )
    from medshot.core.predictor import Predictor, load_predictor
    from medshot.core.registry import part
    from medshot.core.table import Table, write_json
    from medshot.core.task import Task
    from medshot.data.arrays import dataset
    from medshot.data.dataset import Dataset
    from medshot.data.episodes import EpisodeSampler, ImageEpisodes
    from medshot.data.io.read_volume import read_mask_volume, read_volume
    from medshot.data.io.volume import Volume
    from medshot.data.io.write import write_dicom_report, write_dicom_seg, write_nifti_mask
    from medshot.data.load import load
    from medshot.data.split import split_classes, split_patients
    from medshot.evaluation.comparison import Comparison
    from medshot.evaluation.report.html import Report
    from medshot.learners.registry import build, register
    from medshot.nn.encoder import Encoder, encoder
    from medshot.pretraining.store import load_encoder, save_encoder
    from medshot.pretraining.weights.download import from_hub, from_package
    from medshot.pretraining.weights.load import load_weights
    from medshot.stages.base import Stage, stage
    from medshot.stages.compress.distill import distil, distill
    from medshot.stages.compress.prune import prune
    from medshot.stages.compress.quantize import quantise, quantize
    from medshot.stages.export.monai_bundle import export_bundle
    from medshot.stages.export.onnx_file import export_onnx
    from medshot.stages.finetune.finetune import finetune
    from medshot.stages.fuse.fuse import fuse, snapshots
    from medshot.stages.fuse.learner import EnsembleOf
    from medshot.stages.robustness.evaluate import Robustness
    from medshot.stages.robustness.harden import harden
    from medshot.tasks.classification import Classification
    from medshot.tasks.detection import Detection
    from medshot.tasks.enhancement import Enhancement
    from medshot.tasks.multi_label import MultiLabel
    from medshot.tasks.ordinal import Ordinal
    from medshot.tasks.points import Points
    from medshot.tasks.regression import Regression
    from medshot.tasks.segmentation import Segmentation
    from medshot.training.config import PretrainConfig, TrainConfig
    from medshot.training.device import limit_threads
    from medshot.training.progress import progress_bar
    from medshot.training.run import Run, load_run

# Each name is imported when it is first asked for: `medshot --help` must not wait for PyTorch.
_HOME = {
    "Adaptation": "medshot.api.adapt",
    "BoxPrediction": "medshot.core.prediction",
    "Classification": "medshot.tasks.classification",
    "Comparison": "medshot.evaluation.comparison",
    "ConfigError": "medshot.core.errors",
    "DataError": "medshot.core.errors",
    "Dataset": "medshot.data.dataset",
    "Detection": "medshot.tasks.detection",
    "Encoder": "medshot.nn.encoder",
    "Enhancement": "medshot.tasks.enhancement",
    "EnsembleOf": "medshot.stages.fuse.learner",
    "Episode": "medshot.core.episode",
    "EpisodeEvaluation": "medshot.api.episodes",
    "EpisodeSampler": "medshot.data.episodes",
    "Evaluation": "medshot.api.evaluation",
    "Examples": "medshot.core.episode",
    "Exported": "medshot.api.stage_runs",
    "ImageEpisodes": "medshot.data.episodes",
    "ImagePrediction": "medshot.core.prediction",
    "LeakError": "medshot.core.errors",
    "Learner": "medshot.core.learner",
    "MaskPrediction": "medshot.core.prediction",
    "MedshotError": "medshot.core.errors",
    "MultiLabel": "medshot.tasks.multi_label",
    "Option": "medshot.core.options",
    "Ordinal": "medshot.tasks.ordinal",
    "PointPrediction": "medshot.core.prediction",
    "Points": "medshot.tasks.points",
    "Prediction": "medshot.core.prediction",
    "Predictor": "medshot.core.predictor",
    "PretrainConfig": "medshot.training.config",
    "Regression": "medshot.tasks.regression",
    "Report": "medshot.evaluation.report.html",
    "Robustness": "medshot.stages.robustness.evaluate",
    "Run": "medshot.training.run",
    "SaveError": "medshot.core.errors",
    "Segmentation": "medshot.tasks.segmentation",
    "Selected": "medshot.api.selecting",
    "Stage": "medshot.stages.base",
    "StageRun": "medshot.api.stage_runs",
    "Table": "medshot.core.table",
    "Task": "medshot.core.task",
    "TaskError": "medshot.core.errors",
    "TrainConfig": "medshot.training.config",
    "Volume": "medshot.data.io.volume",
    "adapt": "medshot.api.adapt",
    "bibtex": "medshot.api.catalog",
    "build": "medshot.learners.registry",
    "check": "medshot.api.check",
    "compare": "medshot.api.compare",
    "cross_validate": "medshot.api.compare",
    "dataset": "medshot.data.arrays",
    "declared_options": "medshot.core.options",
    "demo": "medshot.api.demo",
    "distil": "medshot.stages.compress.distill",  # the British spelling stays
    "distill": "medshot.stages.compress.distill",
    "encoder": "medshot.nn.encoder",
    "evaluate": "medshot.api.compare",
    "evaluate_episodes": "medshot.api.episodes",
    "export": "medshot.api.stage_runs",
    "export_bundle": "medshot.stages.export.monai_bundle",
    "export_onnx": "medshot.stages.export.onnx_file",
    "finetune": "medshot.stages.finetune.finetune",
    "from_hub": "medshot.pretraining.weights.download",
    "from_package": "medshot.pretraining.weights.download",
    "fuse": "medshot.stages.fuse.fuse",
    "harden": "medshot.stages.robustness.harden",
    "limit_threads": "medshot.training.device",
    "list_encoders": "medshot.api.catalog",
    "list_learners": "medshot.api.catalog",
    "list_protocols": "medshot.api.episodes",
    "load": "medshot.data.load",
    "load_encoder": "medshot.pretraining.store",
    "load_predictor": "medshot.core.predictor",
    "load_run": "medshot.training.run",
    "load_weights": "medshot.pretraining.weights.load",
    "option": "medshot.core.options",
    "part": "medshot.core.registry",
    "pretrain": "medshot.api.training",
    "progress_bar": "medshot.training.progress",
    "prune": "medshot.stages.compress.prune",
    "quantise": "medshot.stages.compress.quantize",  # the British spelling stays
    "quantize": "medshot.stages.compress.quantize",
    "read_mask_volume": "medshot.data.io.read_volume",
    "read_volume": "medshot.data.io.read_volume",
    "refuse_taken": "medshot.core.atomic",
    "register": "medshot.learners.registry",
    "robustness": "medshot.api.robustness",
    "run_stage": "medshot.api.stage_runs",
    "save_encoder": "medshot.pretraining.store",
    "select": "medshot.api.selecting",
    "select_learner": "medshot.api.selecting",
    "snapshots": "medshot.stages.fuse.fuse",
    "split_classes": "medshot.data.split",
    "split_patients": "medshot.data.split",
    "stage": "medshot.stages.base",
    "train": "medshot.api.training",
    "use": "medshot.core.plugins",
    "write_dicom_report": "medshot.data.io.write",
    "write_dicom_seg": "medshot.data.io.write",
    "write_json": "medshot.core.table",
    "write_nifti_mask": "medshot.data.io.write",
}

__all__ = [
    "Adaptation",
    "BoxPrediction",
    "Classification",
    "Comparison",
    "ConfigError",
    "DataError",
    "Dataset",
    "Detection",
    "Encoder",
    "Enhancement",
    "EnsembleOf",
    "Episode",
    "EpisodeEvaluation",
    "EpisodeSampler",
    "Evaluation",
    "Examples",
    "Exported",
    "ImageEpisodes",
    "ImagePrediction",
    "LeakError",
    "Learner",
    "MaskPrediction",
    "MedshotError",
    "MultiLabel",
    "Option",
    "Ordinal",
    "PointPrediction",
    "Points",
    "Prediction",
    "Predictor",
    "PretrainConfig",
    "Regression",
    "Report",
    "Robustness",
    "Run",
    "SaveError",
    "Segmentation",
    "Selected",
    "Stage",
    "StageRun",
    "Table",
    "Task",
    "TaskError",
    "TrainConfig",
    "Volume",
    "adapt",
    "bibtex",
    "build",
    "check",
    "compare",
    "cross_validate",
    "dataset",
    "declared_options",
    "demo",
    "distil",
    "distill",
    "encoder",
    "evaluate",
    "evaluate_episodes",
    "export",
    "export_bundle",
    "export_onnx",
    "finetune",
    "from_hub",
    "from_package",
    "fuse",
    "harden",
    "limit_threads",
    "list_encoders",
    "list_learners",
    "list_protocols",
    "load",
    "load_encoder",
    "load_predictor",
    "load_run",
    "load_weights",
    "option",
    "part",
    "pretrain",
    "progress_bar",
    "prune",
    "quantise",
    "quantize",
    "read_mask_volume",
    "read_volume",
    "refuse_taken",
    "register",
    "robustness",
    "run_stage",
    "save_encoder",
    "select",
    "select_learner",
    "snapshots",
    "split_classes",
    "split_patients",
    "stage",
    "train",
    "use",
    "write_dicom_report",
    "write_dicom_seg",
    "write_json",
    "write_nifti_mask",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("medshot.core.plugins").own_version()
    if name not in _HOME:
        raise AttributeError(f"module 'medshot' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
