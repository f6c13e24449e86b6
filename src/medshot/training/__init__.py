"""The one training loop, its checkpoints and its episodes."""

from medshot.training.run import Run as Run
from medshot.training.run import load_run as load_run
from medshot.training.train import train as train
