"""The one training loop, its checkpoints and its episodes."""

from medshot.train.loop import train as train
from medshot.train.run import Run as Run
from medshot.train.run import load_run as load_run
