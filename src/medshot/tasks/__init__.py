"""One file a kind of task."""

from medshot.tasks.classification import Classification as Classification
from medshot.tasks.classification import one_hot as one_hot
from medshot.tasks.enhancement import Enhancement as Enhancement
from medshot.tasks.segmentation import Segmentation as Segmentation
