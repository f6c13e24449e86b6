"""Selection of a learner and its settings for a support set."""

from medshot.selection.auto import Auto as Auto
from medshot.selection.space import Categorical as Categorical
from medshot.selection.space import Configuration as Configuration
from medshot.selection.space import FloatRange as FloatRange
from medshot.selection.space import LearnerFamily as LearnerFamily
