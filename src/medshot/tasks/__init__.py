"""Tasks, one file each: loss, metrics, encoding of targets, decoding of outputs."""

from medshot.core import Task
from medshot.tasks.classification import Classification as Classification
from medshot.tasks.classification import one_hot as one_hot
from medshot.tasks.detection import Detection as Detection
from medshot.tasks.enhancement import Enhancement as Enhancement
from medshot.tasks.multi_label import MultiLabel as MultiLabel
from medshot.tasks.ordinal import Ordinal as Ordinal
from medshot.tasks.points import Points as Points
from medshot.tasks.regression import Regression as Regression
from medshot.tasks.segmentation import Segmentation as Segmentation

EVERY = (Task,)  # for a learner that uses only the loss of a task
